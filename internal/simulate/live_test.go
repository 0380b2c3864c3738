package simulate_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// clock shows the time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func live(t testing.TB, functions, invocations int, c *clock) *dataset.Data {
	t.Helper()
	d, err := dataset.Live(dataset.GenerateOptions{Functions: functions, Invocations: invocations, Seed: 1}, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Yesterday is complete, today ends now, later days come with the clock, and
// settled records do not change.
func TestLiveDays(t *testing.T) {
	t.Parallel()
	const daily = 5000
	c := &clock{now: noon}
	d := live(t, 5, daily, c)
	s, _ := serve(t, d)

	settled := map[string]dataset.Record{}
	last := 0
	for _, now := range []time.Time{noon, noon.Add(30 * time.Second), noon.Add(6 * time.Hour), day.AddDate(0, 0, 4)} {
		c.Set(now)
		perDay := map[time.Time]int{}
		total := 0
		for function, info := range s.Functions() {
			n := 0
			for r := range d.Records(function) {
				n++
				perDay[r.Start.Truncate(24*time.Hour)]++
				switch r.Status {
				case dataset.StatusWait:
					if !r.Start.IsZero() || !r.End.IsZero() {
						t.Fatalf("%s: waiting, with a time: %+v", now, r)
					}
				case dataset.StatusRunning:
					if r.Start.After(now) || !r.End.IsZero() || r.ErrorCode != 0 {
						t.Fatalf("%s: running: %+v", now, r)
					}
				default:
					if r.Start.After(now) || r.End.After(now) || r.End.IsZero() {
						t.Fatalf("%s: settled: %+v", now, r)
					}
					if before, ok := settled[r.RequestID]; ok && before != r {
						t.Fatalf("%+v has become %+v", before, r)
					}
					settled[r.RequestID] = r
				}
			}
			if n != info.Records {
				t.Errorf("%s: %s has %d records, said to have %d", now, info.Name, n, info.Records)
			}
			total += n
		}
		if total <= last {
			t.Errorf("%s: %d records, no more than before", now, total)
		}
		last = total
		today := now.Truncate(24 * time.Hour)
		for date := day.AddDate(0, 0, -1); date.Before(today); date = date.AddDate(0, 0, 1) {
			if perDay[date] != daily {
				t.Errorf("%s: %d records on %s, want %d", now, perDay[date], date, daily)
			}
		}
	}
	if want := 5 * daily; last < want {
		t.Errorf("%d records in the end, want at least %d", last, want)
	}
}

// A record waits, runs and settles under one request id. A query by status finds it
// in each state. Until its start, the range is compared with its time in the queue.
func TestLiveStates(t *testing.T) {
	t.Parallel()
	c := &clock{now: noon}
	d := live(t, 1, 200_000, c)
	s, _ := serve(t, d)

	// Within a minute a record waits; it is then the newest.
	start := noon
	_, all := ask(t, s, 0, "limit=500")
	for all.Invocations[0].Status != "WAIT" {
		if start = start.Add(time.Second); start.After(noon.Add(time.Minute)) {
			t.Fatal("nothing waits within a minute")
		}
		c.Set(start)
		_, all = ask(t, s, 0, "limit=500")
	}
	counts := map[string]int{}
	for _, status := range []string{"WAIT", "RUNNING", "SUCCESS", "FAIL", "DISCARD"} {
		_, a := ask(t, s, 0, "limit=500&status="+status)
		counts[status] = *a.Count
		for _, r := range a.Invocations {
			if r.Status != status || (r.Start != nil) != (status != "WAIT") || (r.End != nil) != (status != "WAIT" && status != "RUNNING") {
				t.Fatalf("asked for %s: %+v", status, r)
			}
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != *all.Count || counts["WAIT"] == 0 || counts["SUCCESS"] == 0 {
		t.Errorf("%v by status, %d in all", counts, *all.Count)
	}
	waiting := all.Invocations[0]
	var states []string
	for second := range 20 {
		c.Set(start.Add(time.Duration(second) * time.Second))
		_, a := ask(t, s, 0, "request_id="+waiting.RequestID)
		if *a.Count != 1 {
			t.Fatalf("second %d: %s is lost", second, waiting.RequestID)
		}
		states = append(states, a.Invocations[0].Status)
	}
	if got := slices.Compact(states); got[0] != "WAIT" || len(got) < 2 || slices.Contains(got[1:], "WAIT") {
		t.Errorf("states: %v", got)
	}
	c.Set(noon.AddDate(0, 0, -3))
	if status, a := ask(t, s, 0, ""); status != http.StatusOK || *a.Count != 0 {
		t.Errorf("before the first day: %d, %d records", status, *a.Count)
	}
}

// A range that ends well before now is answered by position, a range near now by
// checking each record. Both give the same records, also across midnight.
func TestLivePagesAgree(t *testing.T) {
	t.Parallel()
	c := &clock{now: day.Add(5 * time.Minute)}
	d := live(t, 1, 20_000, c)
	s, _ := serve(t, d)
	const span = "&query_begin_time=2026-03-13T22:00:00&query_end_time=2026-03-14T00:04:50"
	read := func() (ids []string) {
		for marker := 0; marker >= 0; {
			_, a := ask(t, s, 0, fmt.Sprint("limit=77&marker=", marker, span))
			for _, r := range a.Invocations {
				ids = append(ids, r.RequestID)
			}
			marker = -1
			if a.NextMarker != nil {
				marker = *a.NextMarker
			}
			if marker < 0 && len(ids) != *a.Count {
				t.Fatalf("%d records, count %d", len(ids), *a.Count)
			}
		}
		return ids
	}
	near := read()
	c.Set(day.Add(10 * time.Hour))
	if diff := cmp.Diff(read(), near); diff != "" || len(near) == 0 {
		t.Errorf("%d records (-by position +one by one):\n%s", len(near), diff)
	}
}

// Concurrent readers see the same data, although days are generated on first use.
func TestLiveConcurrency(t *testing.T) {
	t.Parallel()
	c := &clock{now: day.AddDate(0, 0, 3)}
	d := live(t, 4, 2000, &clock{now: day})
	s, _ := serve(t, d, func(o *simulate.Options) { o.Now = c.Now })
	bodies := make([]string, 8)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() {
			bodies[i] = get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[0].URN+
				"/async-invocations?limit=500&query_begin_time=2026-03-13T00:00:00").Body.String()
		})
	}
	wg.Wait()
	if len(slices.Compact(bodies)) != 1 {
		t.Error("the answers differ")
	}
}
