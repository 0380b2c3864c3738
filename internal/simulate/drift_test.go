package simulate_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"archiver/internal/simulate/dataset"

	"github.com/google/go-cmp/cmp"
)

// A walk misses a record that moves, or sees it twice, and its counts show that.
// Once the function has calmed down, a walk gets the records of Truth.
func TestDriftKinds(t *testing.T) {
	t.Parallel()
	const total, limit = 1000, "&limit=100"
	d := generate(t, 1, total)
	for _, c := range []struct {
		spec         string
		first, count int // of the first walk's pages: the first count and the last one
		left         int // in the end
		misses       bool
		moved        bool
	}{
		{spec: "arrive", first: total - 9, count: total, left: total},
		{spec: "arrive=3", first: total - 27, count: total, left: total},
		{spec: "vanish", first: total, count: total - 9, left: total - 9},
		{spec: "rise", first: total, count: total, left: total, misses: true, moved: true},
		{spec: "sink", first: total, count: total, left: total, misses: true, moved: true},
		{spec: "rise=2,order=oldest", first: total, count: total, left: total, misses: true, moved: true},
		{spec: "sink=2,order=none", first: total, count: total, left: total, misses: true, moved: true},
		{spec: "rise=2,filter=end", first: total, count: total, left: total, misses: true, moved: true},
	} {
		s, _ := faulty(t, d, c.spec)
		pages := gather(t, s, 0, wholeDay+limit)
		first, last := string(pages[0].Count), string(pages[len(pages)-1].Count)
		if first != strconv.Itoa(c.first) || last != strconv.Itoa(c.count) {
			t.Errorf("%s: count %s, then %s, want %d and %d", c.spec, first, last, c.first, c.count)
		}
		if got := take(t, pages); c.misses && len(got.records) >= c.count {
			t.Errorf("%s: the walk has %d records, and nothing is missing", c.spec, len(got.records))
		}
		after := map[string]dataset.Record{}
		for _, r := range truth(s, 0) {
			after[r.RequestID] = r
		}
		vanished := s.Vanished(0)
		if len(vanished) != total-c.left || len(after) != c.left {
			t.Errorf("%s: %d records vanished, %d are left, want %d left", c.spec, len(vanished), len(after), c.left)
		}
		moved := 0
		for _, before := range collect(d)[0] {
			r, left := after[before.RequestID]
			if left == slices.Contains(vanished, before.RequestID) {
				t.Errorf("%s: %s has vanished and is there, or neither", c.spec, before.RequestID)
			}
			if !left || r.Start.Equal(before.Start) {
				continue
			}
			moved++
			got := take(t, []rawAnswer{read(t, s, 0, everything+"&request_id="+r.RequestID)})
			if r.End.Sub(r.Start) != before.End.Sub(before.Start) || got.records[r.RequestID] != r {
				t.Errorf("%s: %+v, was %+v, is looked up as %+v", c.spec, r, before, got.records)
			}
		}
		if (moved > 0) != c.moved {
			t.Errorf("%s: %d records have another start", c.spec, moved)
		}
		gather(t, s, 0, wholeDay+limit) // calms down in the course of it
		equal(t, s, take(t, gather(t, s, 0, wholeDay+limit)))
	}
}

// An abandoned walk holds no records back from the next walk. Calls with limit 1,
// lookups by id, and lists of one page are not walks.
func TestDriftHoldsNothingBack(t *testing.T) {
	t.Parallel()
	const total = 500
	s, _ := faulty(t, generate(t, 1, total), "arrive=5,drift-calls=1000")
	count := func(query string) string { return string(read(t, s, 0, everything+query).Count) }
	if got := count("&limit=1"); got != "500" {
		t.Errorf("a call for one record counts %s", got)
	}
	if got := count("&limit=100"); got != "480" {
		t.Errorf("a walk begins with %s records", got)
	}
	if got := count("&limit=100&marker=100"); got != "485" {
		t.Errorf("a walk goes on with %s records", got)
	}
	if got := count("&limit=500"); got != "500" {
		t.Errorf("a list of one page counts %s", got)
	}
	for range 5 {
		equal(t, s, take(t, gather(t, s, 0, everything+"&limit=100")))
	}
}

// A function drifts for drift-calls pages.
func TestDriftCalms(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, generate(t, 2, 2000), "vanish=1,drift-calls=5")
	for function := range 2 {
		for range 3 {
			gather(t, s, function, wholeDay+"&limit=100")
		}
		if n := len(s.Vanished(function)); n != 4 {
			t.Errorf("function %d: %d records vanished in 5 pages, want 4", function, n)
		}
	}
	never, _ := faulty(t, generate(t, 1, 1000), "drift=3,drift-calls=0")
	if diff := cmp.Diff(1000, take(t, gather(t, never, 0, wholeDay+"&limit=100")).elements); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Concurrent readers of a drifting list affect only each other's walks.
func TestDriftConcurrency(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, generate(t, 2, 1000), "drift=2,drift-calls=30,inflight,unusable,429=0")
	var wg sync.WaitGroup
	for reader := range 4 {
		wg.Go(func() {
			for marker := 0; marker < 500; marker += 50 {
				get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[reader%2].URN+"/async-invocations?"+wholeDay+"&limit=50&marker="+strconv.Itoa(marker))
				truth(s, 0)
				s.Unusable(1)
				s.Vanished(reader % 2)
			}
		})
	}
	wg.Wait()
	gather(t, s, 0, everything+"&limit=20")
	equal(t, s, take(t, gather(t, s, 0, everything+"&limit=50")))
}
