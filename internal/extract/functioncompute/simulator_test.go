package functioncompute

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

var day = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)

// simulator serves a generated day with the keys of the tests.
func simulator(t *testing.T, faults string) (*simulate.Server, string) {
	t.Helper()
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 6, Invocations: 3000, Date: day, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	f, err := simulate.ParseFaults(faults)
	if err != nil {
		t.Fatal(err)
	}
	server, err := simulate.New(simulate.Options{Data: data, AccessKey: testKey, SecretKey: testSecret, Faults: f})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	return server, h.URL
}

func at(url string) func(*Options) { return func(o *Options) { o.Endpoint = url } }

// The source reads every record of the simulator, with checked signatures,
// despite the faults in the answers.
func TestSimulatorReadsAll(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]string{
		"none": "", "shapes": "mix,null-list", "limits": "cap=7,order=none", "calls": "429=0.05,500=0.05,502=0.05,cut=0.05,reset=0.05,blank=0.05",
		"records": "unusable=0.05,nul=0.1,statuses=0.1,reversed=0.1,twice=0.1", "null token": "marker=null", "empty token": "marker=zero",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, url := simulator(t, faults)
			s := open(t, http.NotFoundHandler(), at(url))
			listed, err := functions(t.Context(), s)
			if err != nil || len(listed) != 6 {
				t.Fatal(listed, err)
			}
			for i, f := range listed {
				truth := make(map[string]dataset.Record)
				for r := range server.Truth(i) {
					truth[strings.ToUpper(r.RequestID)] = r
				}
				got, err := read(t.Context(), s, archive.Query{Function: f, From: day.Add(-time.Second), To: day.Add(24*time.Hour + time.Second)})
				if err != nil {
					t.Fatal(err)
				}
				seen, rejected, short := make(map[string]bool), 0, 0
				for _, p := range got {
					if !p.Last && p.Len() < 100 {
						short++
					}
					rejected += len(p.Rejected)
					for _, inv := range p.Invocations {
						r, ok := truth[inv.RequestID]
						seen[inv.RequestID] = true
						// A fault sends seconds in place of milliseconds, so a
						// start time may lack its milliseconds.
						if sinceStart := r.Start.Sub(inv.Start); !ok || sinceStart < 0 || sinceStart >= time.Second ||
							inv.ErrorMessage != r.ErrorMessage || inv.Status != string(r.Status) && !strings.Contains(faults, "statuses") {
							t.Fatalf("%+v\nwas read for %+v", inv, r)
						}
					}
				}
				if len(seen) != len(truth) || rejected != server.Unusable(i) {
					t.Errorf("%s: %d of %d records, %d of %d rejected", f.Name, len(seen), len(truth), rejected, server.Unusable(i))
				}
				if len(truth) > 1000 && short == 0 {
					t.Errorf("%s: no page was short", f.Name)
				}
			}
		})
	}
}

// Every record is found by its request id, also if it has another invocation
// id.
func TestSimulatorOneRecord(t *testing.T) {
	t.Parallel()
	_, url := simulator(t, "")
	s := open(t, http.NotFoundHandler(), at(url))
	listed, err := functions(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	q := archive.Query{Function: listed[0], From: day.Add(-time.Second), To: day.Add(24*time.Hour + time.Second)}
	all, err := read(t.Context(), s, q)
	if err != nil {
		t.Fatal(err)
	}
	chosen := 0
	for _, inv := range all[0].Invocations[:min(20, len(all[0].Invocations))] {
		q.RequestID, q.Extra = inv.RequestID, inv.Extra
		if invocationID(q) != inv.RequestID {
			chosen++
		}
		found := 0
		one, err := read(t.Context(), s, q)
		for _, p := range one {
			for _, got := range p.Invocations {
				if got.RequestID == inv.RequestID {
					found++
				}
			}
		}
		if err != nil || found != 1 {
			t.Errorf("%s: %d found, %v", inv.RequestID, found, err)
		}
	}
	if chosen == 0 {
		t.Error("no record has another invocation id")
	}
}

// The simulator refuses requests that are changed after signing, or signed with
// a wrong secret.
func TestSimulatorChecksSignatures(t *testing.T) {
	t.Parallel()
	_, url := simulator(t, "")
	for name, change := range map[string]func(*http.Request){
		"nothing":   func(*http.Request) {},
		"the query": func(r *http.Request) { r.URL.RawQuery += "&limit=1" },
		"the path":  func(r *http.Request) { r.URL.Path += "x" },
		"the token": func(r *http.Request) { r.Header.Set("X-Acs-Security-Token", "another") },
		"the date":  func(r *http.Request) { r.Header.Set("X-Acs-Date", "2026-03-14T12:00:01Z") },
		"the key": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), testKey, "LTAIANOTHER", 1))
		},
		"no signature": func(r *http.Request) { r.Header.Del("Authorization") },
		"one more":     func(r *http.Request) { r.Header.Set("X-Acs-Extra", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Endpoint = url
			caller := extract.NewCaller(extract.Options{Transport: requestChanger(change), Clock: clocktest.NewInstant(noon)})
			s, err := New(o, caller, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if _, err = functions(t.Context(), s); errors.Is(err, archive.ErrDenied) != (name != "nothing") {
				t.Error(err)
			}
		})
	}
	wrong := open(t, http.NotFoundHandler(), at(url), func(o *Options) {
		o.Keys = func() (Keys, error) { return Keys{testKey, "another secret"[8:], ""}, nil }
	})
	if _, err := functions(t.Context(), wrong); !errors.Is(err, archive.ErrDenied) {
		t.Error(err)
	}
}

// A requestChanger changes requests after they are signed.
type requestChanger func(*http.Request)

func (c requestChanger) RoundTrip(r *http.Request) (*http.Response, error) {
	c(r)
	return http.DefaultTransport.RoundTrip(r)
}

// A missing function, a throttled call and an invalid token have the cloud's
// own error codes.
func TestSimulatorRefuses(t *testing.T) {
	t.Parallel()
	_, url := simulator(t, "gone=1")
	s := open(t, http.NotFoundHandler(), at(url))
	q := hour
	listed, err := functions(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	q.Function = listed[0]
	if _, err := read(t.Context(), s, q); !errors.Is(err, archive.ErrGone) {
		t.Error(err)
	}
	_, url = simulator(t, "")
	s = open(t, http.NotFoundHandler(), at(url))
	q.Cursor = "nextToken=old"
	if _, err := read(t.Context(), s, q); !errors.Is(err, archive.ErrCursor) {
		t.Error(err)
	}
	_, url = simulator(t, "429=1")
	s = open(t, http.NotFoundHandler(), at(url))
	if _, err := functions(t.Context(), s); err == nil || !strings.Contains(err.Error(), "ResourceExhausted") || s.Stats().Refused == 0 {
		t.Error(err)
	}
}
