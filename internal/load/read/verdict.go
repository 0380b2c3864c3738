package read

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/words"
)

// A Level says how an archive is.
type Level string

// The levels, the best first.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Bad     Level = "bad"
)

// Levels are all levels, the best first.
var Levels = []Level{OK, Warning, Bad}

func (l Level) rank() int { return slices.Index(Levels, l) }

// A Verdict says whether the archive is as it should be. It is the one that the page, status,
// the report, the metrics and exit codes show. The JSON is that of archiver status --json.
type Verdict struct {
	Level   Level           `json:"level"`
	Text    string          `json:"text"`           // the worst in a sentence
	More    string          `json:"more,omitempty"` // about it, and what else there is
	Sources []SourceVerdict `json:"sources"`        // by name
}

// A SourceVerdict is the verdict on one source.
type SourceVerdict struct {
	Source
	Level   Level    `json:"level"`
	Reasons []Reason `json:"reasons"` // the worst first
}

// What a reason is about. The metrics have a series for each.
const (
	AboutHours     = "hours"     // that are not archived
	AboutRisk      = "risk"      // hours that the source may soon forget
	AboutMissed    = "missed"    // hours that it may have forgotten
	AboutList      = "list"      // of functions, which is not whole
	AboutPasses    = "passes"    // which do not succeed
	AboutSchedule  = "schedule"  // passes which do not begin
	AboutFunctions = "functions" // which are gone, or given up
)

// Abouts is all that a reason can be about.
var Abouts = []string{AboutHours, AboutRisk, AboutMissed, AboutList, AboutPasses, AboutSchedule, AboutFunctions}

// A Reason is why a verdict is what it is.
type Reason struct {
	About string     `json:"about"`
	Level Level      `json:"level"`
	Text  string     `json:"text"`            // a sentence
	More  string     `json:"more,omitempty"`  // since when, and what to do
	Since *time.Time `json:"since,omitempty"` // nil if unknown
}

// Times are how long sources keep their records.
type Times struct {
	Given   time.Duration                       // for all sources; 0 for none
	Default func(provider string) time.Duration // for a source of which no run has told
}

// Of returns how long a source keeps its records.
func (t Times) Of(s *Source) time.Duration {
	switch {
	case t.Given != 0:
		return t.Given
	case s.Retention != nil:
		return *s.Retention
	}
	return t.Default(s.Provider)
}

// Verdict judges the archive at a time.
func (s *Snapshot) Verdict(ctx context.Context, now time.Time, kept Times) (v Verdict, err error) {
	functions, err := s.Functions(ctx)
	if err != nil {
		return v, err
	}
	sources, err := s.Sources(ctx, functions, now)
	if err != nil {
		return v, err
	}
	lists, err := s.Lists(ctx)
	return Judge(now, functions, sources, lists, kept), err
}

// Judge judges an archive at a time by what is archived of its functions, how the passes of
// its sources end, and their lists of functions.
func Judge(now time.Time, functions []Function, sources []Source, lists []List, kept Times) (v Verdict) {
	for i := range sources {
		j := judge{source: &sources[i], Expectation: Expect(now, &sources[i], kept)}
		for f := range functions {
			if j.source.Of(&functions[f]) {
				j.functions = append(j.functions, &functions[f])
			}
		}
		for l := range lists {
			if list := &lists[l]; list.Provider == j.source.Provider && list.Region == j.source.Region && list.Project == j.source.Project {
				j.list = list
			}
		}
		v.Sources = append(v.Sources, j.verdict())
	}
	v.sum()
	return v
}

// Expect says which hours of a source's functions are expected.
func Expect(now time.Time, s *Source, kept Times) Expectation {
	e := Expectation{Now: now, Retention: kept.Of(s), Ignored: s.IgnoredAt != nil}
	if s.PassEvery != nil {
		e.Every = *s.PassEvery
	}
	return e
}

// sum makes the verdict on the archive of those on its sources.
func (v *Verdict) sum() {
	type about struct {
		Reason
		source string
	}
	var all []about
	for i := range v.Sources {
		for _, r := range v.Sources[i].Reasons {
			name := ""
			if len(v.Sources) > 1 {
				name = v.Sources[i].Name + ": "
			}
			all = append(all, about{r, name})
		}
	}
	if len(v.Sources) == 0 {
		all = append(all, about{Reason: Reason{About: AboutHours, Level: Warning, Text: "Nothing is archived yet.", More: "The first run plans the hours that are due."}})
	}
	slices.SortStableFunc(all, func(a, b about) int { return b.Level.rank() - a.Level.rank() })
	v.Level, v.Text = OK, "Every hour that is due is archived."
	var more []string
	for i, r := range all {
		if i == 0 && r.Level != OK {
			v.Level, v.Text = r.Level, r.source+r.Text
			more = append(more, r.More)
			continue
		}
		more = append(more, r.source+strings.TrimSpace(r.Text+" "+r.More))
	}
	v.More = strings.TrimSpace(strings.Join(more, " "))
}

// A judge judges one source.
type judge struct {
	Expectation
	source    *Source
	functions []*Function
	list      *List // nil if it was never read
	reasons   []Reason
}

func (j *judge) verdict() SourceVerdict {
	v := SourceVerdict{Source: *j.source, Level: OK, Reasons: []Reason{}}
	if j.source.IgnoredAt != nil {
		v.Reasons = []Reason{{About: AboutFunctions, Level: OK, Text: "It is ignored.", Since: j.source.IgnoredAt}}
		return v
	}
	j.hours()
	j.missed()
	j.wholeList()
	j.passes()
	j.vanished()
	slices.SortStableFunc(j.reasons, func(a, b Reason) int { return b.Level.rank() - a.Level.rank() })
	v.Reasons = append(v.Reasons, j.reasons...)
	if len(v.Reasons) > 0 {
		v.Level = v.Reasons[0].Level
	}
	return v
}

func (j *judge) say(about string, level Level, since time.Time, text, more string) {
	r := Reason{About: about, Level: level, Text: text, More: more}
	if !since.IsZero() {
		since = since.UTC()
		r.Since = &since
	}
	j.reasons = append(j.reasons, r)
}

// hours says how many hours that are due are not archived.
func (j *judge) hours() {
	var late, lateFunctions, failed, short, stuck, windows, never, holed int64
	var oldest time.Time
	for _, f := range j.functions {
		windows += f.Windows
		if n := j.NeverRequested(f); n > 0 {
			never += n
			holed++
		}
		if f.Standing == Wanted {
			failed, short, stuck = failed+f.Failed, short+f.Short, stuck+f.Stuck
		}
		hours, since := j.Missing(f)
		if hours == 0 {
			continue
		}
		late += hours
		lateFunctions++
		if oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
	}
	between := fmt.Sprintf("No run was asked for %s of %s between other hours: only archiver backfill reads them.",
		words.Plural(never, "hour", "hours"), words.Plural(holed, "function", "functions"))
	switch {
	case windows == 0 && j.source.LastSuccess == nil:
		j.say(AboutHours, Warning, time.Time{}, "Nothing is archived yet.", "The first run plans the hours that are due.")
		return
	case late == 0 && never > 0:
		j.say(AboutHours, Warning, time.Time{}, "Every hour that a run was asked for is archived.", between)
	}
	if late == 0 {
		return
	}
	level := Warning
	more := "The oldest is " + words.Minute(oldest) + " UTC, " + words.Ago(oldest, j.Now) + "."
	if failed+short > 0 {
		level = Bad
		more += fmt.Sprintf(" %s failed, %s short: later runs try them again.", words.Number(failed), words.Number(short))
	}
	if stuck > 0 {
		more += fmt.Sprintf(" Of these, %s longer after each failure: no smaller question can be asked.", words.Plural(stuck, "waits", "wait"))
	}
	if never > 0 {
		more += " " + between
	}
	j.say(AboutHours, level, oldest, fmt.Sprintf("%s of %s %s not archived yet.", words.Plural(late, "hour", "hours"), words.Plural(lateFunctions, "function", "functions"), is(late)), more)
	// What the source has forgotten is at no risk any more.
	if left := oldest.Add(archive.Hour + j.Retention).Sub(j.Now); left > 0 && left < j.Retention/5 {
		j.say(AboutRisk, Bad, oldest, fmt.Sprintf("The source may forget the oldest of these hours in %s.", words.Duration(left)), "")
	}
}

// missed says how many hours were missed.
func (j *judge) missed() {
	var missed, functions int64
	var since time.Time
	for _, f := range j.functions {
		if f.Missed == 0 || f.Standing != Wanted {
			continue
		}
		missed += f.Missed
		functions++
		if f.MissedSince != nil && (since.IsZero() || f.MissedSince.Before(since)) {
			since = *f.MissedSince
		}
	}
	if missed > 0 {
		was := "were"
		if missed == 1 {
			was = "was"
		}
		j.say(AboutMissed, Bad, since, fmt.Sprintf("%s of %s %s missed.", words.Plural(missed, "hour", "hours"), words.Plural(functions, "function", "functions"), was),
			"The source may have forgotten their records before they were read. archiver acknowledge takes missed hours out of this verdict.")
	}
}

// wholeList says that the list of functions is not whole.
func (j *judge) wholeList() {
	if j.list == nil || j.list.Whole {
		return
	}
	why := "the source's list of functions is not whole"
	if j.list.LastError != nil {
		why = *j.list.LastError
	}
	var since time.Time
	if j.list.WholeAt != nil {
		since = *j.list.WholeAt
	}
	j.say(AboutList, Bad, since, "A list of functions is not whole.",
		fmt.Sprintf("%s %s: %s (%s).", j.list.Provider, j.list.Region, why, words.Ago(j.list.ListedAt, j.Now)))
}

func is(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
