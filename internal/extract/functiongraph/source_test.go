package functiongraph

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

func simulator(t *testing.T, functions, invocations int) *simulate.Server {
	t.Helper()
	data, err := dataset.Generate(dataset.GenerateOptions{
		Functions: functions, Invocations: invocations, Date: noon.Truncate(24 * time.Hour), Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := simulate.New(simulate.Options{
		Data: data, ProjectID: testProject, AccessKey: testKey, SecretKey: testSecret, Token: "a-user-token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// With signatures or a token, the source returns the simulator's records, with
// the smallest number of calls.
func TestSourceReadsSimulator(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*Options){
		"signed": func(*Options) {},
		"token": func(o *Options) {
			o.AccessKey, o.SecretKey, o.AuthToken = extract.Secret{}, extract.Secret{}, secret("a-user-token")
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := simulator(t, 7, 9000)
			s := open(t, api, way)
			listed, err := functions(t.Context(), s)
			if err != nil || len(listed) != 7 {
				t.Fatalf("%d functions, %v", len(listed), err)
			}
			calls := int64(1)
			for i, want := range api.Functions() {
				if listed[i].URN != want.URN || listed[i].Name != want.Name {
					t.Errorf("function %d is %v, want %v", i, listed[i], want)
				}
				day := hour
				day.Function, day.From, day.To = listed[i], noon.Add(-12*time.Hour), noon.Add(12*time.Hour)
				pages, err := read(t.Context(), s, day)
				if err != nil {
					t.Fatal(err)
				}
				ids := make(map[string]bool)
				for _, page := range pages {
					for _, inv := range page.Invocations {
						ids[inv.RequestID] = true
					}
					if page.Count != want.Records || len(page.Rejected) > 0 {
						t.Errorf("count %d, %d rejected", page.Count, len(page.Rejected))
					}
				}
				if len(ids) != want.Records || !pages[len(pages)-1].Last {
					t.Errorf("%s: %d records of %d", want.Name, len(ids), want.Records)
				}
				calls += int64(max(1, (want.Records+maxInvocations-1)/maxInvocations))
			}
			// For a list of exactly one full page, the count could be the
			// page's own length, so there is one more call.
			if got := s.Stats(); got.Calls < calls || got.Calls > calls+7 || got.Refused != 0 {
				t.Errorf("%+v, want %d calls", got, calls)
			}
			if id := s.ID(); id != (archive.SourceID{Provider: Provider, Region: "cn-north-4", ProjectID: testProject}) {
				t.Errorf("%+v", id)
			}
		})
	}
}

// A query starts at its cursor, and sends its times in UTC.
func TestPagesAsk(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		q := r.URL.Query()
		asked = append(asked, fmt.Sprint(r.URL.Path, " ", q.Get("marker"), " ", q.Get("limit"), " ", q.Get("query_begin_time"), " ", q.Get("query_end_time")))
		fmt.Fprint(w, `{"invocations":[{"request_id":"`+q.Get("marker")+`"}],"count":702}`)
	}))
	q := hour
	q.Cursor = "700"
	q.From = q.From.In(time.FixedZone("", 8*3600))
	pages, err := read(t.Context(), s, q)
	if err != nil {
		t.Fatal(err)
	}
	const path, times = "/v2/" + testProject + "/fgs/functions/" + testURN + "/async-invocations ", " 500 2026-03-14T11:59:59Z 2026-03-14T13:00:01Z"
	mu.Lock()
	defer mu.Unlock()
	if want := []string{path + "700" + times, path + "701" + times}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if len(pages) != 2 || pages[0].Next != "701" || pages[0].Last || pages[1].Next != "702" || !pages[1].Last {
		t.Errorf("%+v", pages)
	}
	for _, cursor := range []archive.Cursor{"x", "-1", "1.5", "99999999999999999999"} {
		q.Cursor = cursor
		if _, err := read(t.Context(), s, q); err == nil {
			t.Errorf("cursor %q passed", cursor)
		}
	}
}
