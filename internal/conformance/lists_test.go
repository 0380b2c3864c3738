package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"archiver/internal/archive"
	"archiver/internal/conformance"
	"archiver/internal/extract"
)

// listPage is how many versions and settings a page has. One page has all aliases.
const listPage = 20

// A versioned source also has the lists that only some sources have.
type versioned struct{ *source }

// list yields the pages of one of these lists.
func (v *versioned) list(ctx context.Context, path string, f archive.Function) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		for offset := 0; ; {
			p, err := v.get(ctx, path, question{URN: f.URN, Offset: offset})
			var status *extract.StatusError
			if errors.As(err, &status) && status.Code == "NoList" && !v.has("no list is an error like others") {
				err = fmt.Errorf("%w: %w", archive.ErrNoVersions, err)
			}
			if err != nil && v.has("an error is an end") {
				return
			}
			if err != nil {
				yield(p, v.gone(err))
				return
			}
			if !yield(p, nil) || !*p.More || v.has("lists have one page") {
				return
			}
			offset = *p.Next
		}
	}
}

func (v *versioned) Versions(ctx context.Context, f archive.Function) (versions []archive.Function, err error) {
	var unusable error
	for p, err := range v.list(ctx, "/versions", f) {
		if err != nil {
			return versions, err
		}
		for _, raw := range p.Records {
			var version archive.Function
			switch {
			case json.Unmarshal(raw, &version) != nil || version.URN == "":
				unusable = errors.New("a version has no name")
				if v.has("unusable ends a list") {
					return versions, unusable
				}
			case version.URN != f.URN || v.has("the latest is listed as well"):
				if versions = append(versions, version); v.has("versions come twice") {
					versions = append(versions, version)
				}
			}
		}
	}
	if v.has("unusable is dropped") {
		return versions, nil
	}
	return versions, unusable
}

func (v *versioned) Aliases(ctx context.Context, f archive.Function) (aliases []archive.Alias, err error) {
	for p, err := range v.list(ctx, "/aliases", f) {
		if err != nil {
			return nil, err
		}
		for _, raw := range p.Records {
			var a archive.Alias
			switch {
			case json.Unmarshal(raw, &a) == nil && a.Name != "":
				if v.has("aliases have no shares") {
					a.Additional = nil
				}
				aliases = append(aliases, a)
			case v.has("unusable ends a list"):
				return aliases, nil
			}
		}
	}
	return aliases, nil
}

func (v *versioned) Settings(ctx context.Context, f archive.Function) iter.Seq2[archive.SettingsPage, error] {
	return func(yield func(archive.SettingsPage, error) bool) {
		for p, err := range v.list(ctx, "/settings", f) {
			out := archive.SettingsPage{Count: -1}
			if p.Total != nil {
				out.Count = *p.Total
			}
			if v.has("the count is the page's") {
				out.Count = len(p.Records)
			}
			for _, raw := range p.Records {
				var s archive.Setting
				switch {
				case json.Unmarshal(raw, &s) == nil && s.URN != "":
					if s.Raw = raw; v.has("settings have nothing raw") {
						s.Raw = nil
					}
					out.Settings = append(out.Settings, s)
				case !v.has("unusable is dropped"):
					out.Rejected = append(out.Rejected, archive.Rejected{Reason: "no URN", Payload: raw})
				}
			}
			if errors.Is(err, archive.ErrGone) {
				return // it has none
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

// lists answers calls for these lists, on the cloud's side.
func (c cloud) lists(of *conformance.Cloud, mux *http.ServeMux) {
	mux.HandleFunc("POST /versions", func(w http.ResponseWriter, r *http.Request) {
		q := asked(r)
		page, next, total := of.Versions(q.URN, q.Offset, listPage)
		write(w, c, page, next, total)
	})
	mux.HandleFunc("POST /aliases", func(w http.ResponseWriter, r *http.Request) {
		page, next, total := of.Aliases(asked(r).URN, 0, 1<<20)
		write(w, c, page, next, total)
	})
	mux.HandleFunc("POST /settings", func(w http.ResponseWriter, r *http.Request) {
		q := asked(r)
		limit := listPage
		if c.makes("all settings are in one page") {
			limit = 1 << 20
		}
		page, next, total := of.Settings(q.URN, q.Offset, limit)
		write(w, c, page, next, total)
	})
}

func write[T any](w http.ResponseWriter, c cloud, list []conformance.Element[T], next, total int) {
	more := next < total
	p := page{Next: &next, More: &more}
	if c.counted {
		p.Total = &total
	}
	for _, e := range list {
		raw := []byte(e.Raw)
		if e.Raw == "" {
			raw, _ = json.Marshal(e.Is)
		}
		p.Records = append(p.Records, raw)
	}
	_ = json.NewEncoder(w).Encode(p)
}

// versionsOf and settingsOf describe these lists to the suite.
func versionsOf() *conformance.Versions {
	return &conformance.Versions{
		Version: func(n int) archive.Function {
			return archive.Function{URN: fmt.Sprintf("test:f0:%d", n), Name: "f0"}
		},
		Alias: func(n int) archive.Alias {
			return archive.Alias{Name: fmt.Sprintf("a%d", n), Version: fmt.Sprint(n), Additional: []byte(`{"7":10}`)}
		},
		Page: listPage, None: []conformance.Refusal{{Status: 404, Body: `{"code":"NoList","message":%q}`}},
		Unusable: []string{`{}`, `7`}, UnusableAliases: []string{`{}`, `7`},
	}
}

func settingsOf() *conformance.Settings {
	return &conformance.Settings{
		Setting: func(n int) archive.Setting {
			return archive.Setting{URN: fmt.Sprintf("test:f0:%d", n), MaxEventAge: n, MaxRetries: -1, StatusLog: new(bool)}
		},
		Page: listPage, Unusable: []string{`{}`, `7`},
	}
}
