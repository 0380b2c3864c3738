package simulate_test

import (
	"slices"
	"testing"
	"time"

	"archiver/internal/simulate/dataset"
)

// A late record is listed some time after its start or the server's.
func TestFaultLate(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1000)
	now := &clock{now: noon}
	s, _ := serve(t, d, at(now), with(t, "late=10m"))
	started := noon
	for _, c := range []time.Time{noon, noon.Add(9 * time.Minute), noon.Add(10 * time.Minute), noon.Add(6 * time.Hour), noon.Add(13 * time.Hour)} {
		now.Set(c)
		want := 0
		for r := range d.Records(0) {
			from := r.Start
			if from.Before(started) {
				from = started
			}
			if !c.Before(from.Add(10 * time.Minute)) {
				want++
			}
		}
		if got := read(t, s, 0, everything); string(got.Count) != jsonNumber(want) || len(truth(s, 0)) != want {
			t.Errorf("%s: %s records, truth %d, want %d", c, got.Count, len(truth(s, 0)), want)
		}
	}
	some, _ := faulty(t, d, "late=10m,late-share=0.3")
	if n := len(truth(some, 0)); n < 600 || n > 800 {
		t.Errorf("%d of 1000 records are not late, want about 700", n)
	}
}

// Records wait without a start, run without an end, and then settle. Their start
// moves as the switch says, but never into the future.
func TestFaultInFlight(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 300)
	plain := map[string]dataset.Record{}
	for r := range d.Records(0) {
		plain[r.RequestID] = r
	}
	april := time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)
	for how, right := range map[string]func(before, after time.Time) bool{
		"none":     func(before, after time.Time) bool { return after.Equal(before) },
		"day":      func(before, after time.Time) bool { return after.YearDay() == before.YearDay() },
		"midnight": func(before, after time.Time) bool { return after.YearDay() == before.YearDay()+1 },
		"month":    func(before, after time.Time) bool { return after.Month() == before.Month()+1 && after.Day() == 1 },
	} {
		now := &clock{now: april}
		s, _ := serve(t, d, at(now), with(t, "inflight=1,stage=10m,move="+how))
		stages := map[string][]dataset.Status{}
		moved := 0
		for minute := range 11 {
			now.Set(april.Add(time.Duration(2*minute) * time.Minute))
			got := take(t, gather(t, s, 0, everything+"&limit=500"))
			equal(t, s, got)
			for id, r := range got.records {
				stages[id] = append(stages[id], r.Status)
				waiting, running := r.Status == dataset.StatusWait, r.Status == dataset.StatusRunning
				if r.Start.IsZero() != waiting || r.End.IsZero() != (waiting || running) {
					t.Errorf("%s: %+v", how, r)
				}
				if (waiting || running) && (r.ErrorCode != 0 || r.ErrorMessage != "") {
					t.Errorf("%s: in flight with an error: %+v", how, r)
				}
				p := plain[id]
				if running && !r.Start.Equal(p.Start) {
					t.Errorf("%s: runs since %s, want %s", how, r.Start, p.Start)
				}
				if !waiting && !running {
					if r.Status != p.Status || r.ErrorMessage != p.ErrorMessage || r.End.Sub(r.Start) != p.End.Sub(p.Start) || !right(p.Start, r.Start) {
						t.Errorf("%s: %+v, was %+v", how, r, p)
					}
					if r.Start != p.Start {
						moved++
					}
				}
			}
		}
		for id, list := range stages {
			list = slices.Compact(list)
			if len(list) != 3 || list[0] != dataset.StatusWait || list[1] != dataset.StatusRunning || len(stages[id]) != 11 {
				t.Errorf("%s: %s: %v", how, id, list)
			}
		}
		if (moved > 0) != (how != "none") || len(stages) != 300 {
			t.Errorf("%s: %d of %d records have moved", how, moved, len(stages))
		}
	}
}

// With live data no time is in the future. Waiting records have no times.
func TestFaultFlightLive(t *testing.T) {
	t.Parallel()
	now := &clock{now: noon}
	d := live(t, 1, 2000, now)
	s, _ := serve(t, d, at(now), with(t, "inflight=0.5,retried=1,stage=5m"))
	settled := map[string]dataset.Record{}
	changed := 0
	for minute := range 40 {
		now.Set(noon.Add(time.Duration(minute) * time.Minute))
		for r := range s.Truth(0) {
			if r.Start.After(now.Now()) || r.End.After(now.Now()) {
				t.Fatalf("%s: %+v", now.Now(), r)
			}
			before, known := settled[r.RequestID]
			inFlight := r.Status == dataset.StatusWait || r.Status == dataset.StatusRunning
			if known && before != r {
				if before.Status != dataset.StatusFail || r.Status != dataset.StatusSuccess || !r.Start.After(before.Start) && !r.Start.Equal(before.Start) {
					t.Fatalf("%+v has become %+v", before, r)
				}
				changed++
			}
			if !inFlight {
				settled[r.RequestID] = r
			}
		}
	}
	if changed == 0 {
		t.Error("nothing was retried")
	}
}

// All failed records succeed in the end, each with another start.
func TestFaultRetried(t *testing.T) {
	t.Parallel()
	d := generate(t, 3, 5000)
	failed := map[string]dataset.Record{}
	for _, records := range collect(d) {
		for _, r := range records {
			if r.Status == dataset.StatusFail {
				failed[r.RequestID] = r
			}
		}
	}
	now := &clock{now: day.AddDate(0, 2, 0)}
	s, _ := serve(t, d, at(now), with(t, "retried=1,stage=1h,move=midnight"))
	count := func(minutes int) (n int) {
		now.Set(day.AddDate(0, 2, 0).Add(time.Duration(minutes) * time.Minute))
		for function := range d.Functions() {
			for r := range s.Truth(function) {
				before, ok := failed[r.RequestID]
				if ok && r.Status == dataset.StatusSuccess {
					n++
					if r.ErrorCode != 0 || r.ErrorMessage != "" || r.Start.YearDay() != before.Start.YearDay()+1 {
						t.Fatalf("%+v has become %+v", before, r)
					}
				}
			}
		}
		return n
	}
	if a, b, c := count(59), count(75), count(91); a != 0 || b == 0 || b == len(failed) || c != len(failed) {
		t.Errorf("of %d failed records %d, %d and %d succeeded later", len(failed), a, b, c)
	}
}
