package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"archiver/internal/archive"
)

// Versions describe the versions and aliases of a source that implements
// archive.Versioner.
type Versions struct {
	Version func(n int) archive.Function // the n-th version of Function(0) without the latest, as the source lists it
	Alias   func(n int) archive.Alias    // the n-th alias of Function(0)

	Page      int // the most versions a page
	AliasPage int // the most aliases a page, 0 if one answer has all aliases

	// None are the answers of a cloud that has no such lists.
	None []Refusal

	// Unusable are elements that name no version, and UnusableAliases elements that
	// name no alias, as JSON.
	Unusable, UnusableAliases []string
}

// Settings describe the settings of a source that implements archive.SettingsSource.
type Settings struct {
	Setting  func(n int) archive.Setting // the n-th setting of Function(0), as the source gives it, without Raw
	Page     int                         // the most settings a page
	Unusable []string                    // elements that no row can hold, as JSON
}

// lacking returns the required fields that are not set.
func (v *Versions) lacking() (lacking []string) {
	switch {
	case v == nil:
	case v.Version == nil || v.Alias == nil:
		lacking = append(lacking, "Version and Alias of its Versions")
	case v.Page < 1:
		lacking = append(lacking, "Page of its Versions")
	case len(v.Unusable) == 0 || len(v.UnusableAliases) == 0:
		lacking = append(lacking, "Unusable and UnusableAliases of its Versions")
	case len(v.None) == 0 || slices.ContainsFunc(v.None, Refusal.lacksMessage):
		lacking = append(lacking, "None of its Versions, or its status or verb")
	}
	return lacking
}

// lacking returns the required fields that are not set.
func (c *Settings) lacking() (lacking []string) {
	switch {
	case c == nil:
	case c.Setting == nil:
		lacking = append(lacking, "Setting of its Settings")
	case c.Page < 1:
		lacking = append(lacking, "Page of its Settings")
	case len(c.Unusable) == 0:
		lacking = append(lacking, "Unusable of its Settings")
	}
	return lacking
}

// A listing describes a list that only some sources have.
type listing struct {
	name     string
	page     int // the most elements a page, 0 if the list is one answer
	unusable []string
	none     []Refusal // answers of a cloud that has no such list

	fill func(c *Cloud, n int) (want []string) // gives the cloud n elements
	raw  func(c *Cloud, elements []string)     // gives the cloud these elements in addition
	read func(ctx context.Context, source archive.Source) listResult
}

// A listed is a list as a source gives it.
type listResult struct {
	got      []string // the elements as texts, in order
	rejected []archive.Rejected
	counts   []int // of its pages
	err      error
}

// listings returns the lists that the suite describes.
func (s *Suite) listings() (all []listing) {
	if v := s.Versions; v != nil {
		all = append(all,
			listing{
				name: "versions", page: v.Page, unusable: v.Unusable, none: v.None,
				fill: func(c *Cloud, n int) (want []string) {
					c.versions, want = elements(n, v.Version, functionText)
					// The cloud also lists the latest version.
					c.versions = slices.Insert(c.versions, n/2, Element[archive.Function]{Is: s.Function(0)})
					return want
				},
				raw:  func(c *Cloud, elements []string) { c.versions = insertRaw(c.versions, elements) },
				read: s.readVersions,
			},
			listing{
				name: "aliases", page: v.AliasPage, unusable: v.UnusableAliases, none: v.None,
				fill: func(c *Cloud, n int) (want []string) {
					c.aliases, want = elements(n, v.Alias, aliasText)
					return want
				},
				raw:  func(c *Cloud, elements []string) { c.aliases = insertRaw(c.aliases, elements) },
				read: s.readAliases,
			})
	}
	if v := s.Settings; v != nil {
		all = append(all, listing{
			name: "settings", page: v.Page, unusable: v.Unusable,
			fill: func(c *Cloud, n int) (want []string) {
				c.settings, want = elements(n, v.Setting, settingText)
				return want
			},
			raw:  func(c *Cloud, elements []string) { c.settings = insertRaw(c.settings, elements) },
			read: s.readSettings,
		})
	}
	return all
}

// elements returns the first n elements of a list, and their texts in order.
func elements[T any](n int, nth func(n int) T, text func(T) string) (all []Element[T], texts []string) {
	for i := range n {
		all = append(all, Element[T]{Is: nth(i)})
		texts = append(texts, text(nth(i)))
	}
	slices.Sort(texts)
	return all, texts
}

// insertRaw inserts raw elements between the others.
func insertRaw[T any](all []Element[T], raw []string) []Element[T] {
	for i, element := range raw {
		all = slices.Insert(all, min(2*i+1, len(all)), Element[T]{Raw: element})
	}
	return all
}

func (s *Suite) readVersions(ctx context.Context, source archive.Source) (l listResult) {
	versions, err := source.(archive.Versioner).Versions(ctx, s.Function(0))
	for _, v := range versions {
		l.got = append(l.got, functionText(v))
	}
	slices.Sort(l.got)
	l.err = err
	return l
}

func (s *Suite) readAliases(ctx context.Context, source archive.Source) (l listResult) {
	aliases, err := source.(archive.Versioner).Aliases(ctx, s.Function(0))
	for _, a := range aliases {
		l.got = append(l.got, aliasText(a))
	}
	slices.Sort(l.got)
	l.err = err
	return l
}

// readSettings reads all settings. A duplicate counts once: pages may overlap.
func (s *Suite) readSettings(ctx context.Context, source archive.Source) (l listResult) {
	for page, err := range source.(archive.SettingsSource).Settings(ctx, s.Function(0)) {
		if l.err != nil {
			l.err = fmt.Errorf("a page follows the error %w", l.err)
			return l
		}
		l.err = err
		for _, setting := range page.Settings {
			text := settingText(setting)
			if !json.Valid(setting.Raw) {
				text += " without Raw"
			}
			l.got = append(l.got, text)
		}
		l.rejected = append(l.rejected, page.Rejected...)
		l.counts = append(l.counts, page.Count)
	}
	slices.Sort(l.got)
	l.got = slices.Compact(l.got)
	return l
}

func functionText(f archive.Function) string { return f.URN + " " + f.Name }

func aliasText(a archive.Alias) string {
	var shares map[string]any
	_ = json.Unmarshal(a.Additional, &shares) // nil is no shares
	return fmt.Sprintf("%s %s %q %v", a.Name, a.Version, a.Description, shares)
}

func settingText(c archive.Setting) string {
	log := "unknown"
	if c.StatusLog != nil {
		log = fmt.Sprint(*c.StatusLog)
	}
	return fmt.Sprintf("%s %d %d %q %q %s %v %v",
		c.URN, c.MaxEventAge, c.MaxRetries, c.OnSuccess, c.OnFailure, log, c.Created.UTC(), c.Modified.UTC())
}

// versions, aliases and settings check the lists that only some sources have.
func (s *Suite) versions(t *testing.T) { s.optional(t, "versions") }
func (s *Suite) aliases(t *testing.T)  { s.optional(t, "aliases") }
func (s *Suite) settings(t *testing.T) { s.optional(t, "settings") }

func (s *Suite) optional(t *testing.T, name string) {
	source := s.open(t, s.plain()).source
	_, has := source.(archive.Versioner)
	if name == "settings" {
		_, has = source.(archive.SettingsSource)
	}
	all := s.listings()
	at := slices.IndexFunc(all, func(l listing) bool { return l.name == name })
	switch {
	case has && at < 0:
		t.Fatalf("the source lists %s, and the Suite lacks what they are", name)
	case !has && at >= 0:
		t.Fatalf("the Suite says what %s are, and the source does not list them", name)
	case !has:
		return
	}
	l := &all[at]
	t.Run("paging", func(t *testing.T) { s.listPaging(t, l) })
	t.Run("faults", func(t *testing.T) { s.listFaults(t, l) })
	t.Run("denied", func(t *testing.T) { s.listDenied(t, l) })
	t.Run("gone", func(t *testing.T) { s.listGone(t, l) })
	t.Run("unusable", func(t *testing.T) { s.listUnusable(t, l) })
}
