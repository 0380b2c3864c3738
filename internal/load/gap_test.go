package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// The archiver did not run for longer than the source keeps records. The hours that the
// source has forgotten since are due, so that they are named as missed.
func TestGapOfAnOutage(t *testing.T) {
	t.Parallel()
	const days, kept = 24, 7 * 24 // in hours
	run := func(to int) archive.Order {
		o := runOrder(span(to-kept, to))
		o.ForgottenBefore = hour(to - kept)
		return o
	}
	for name, test := range map[string]struct {
		askedBy string // of the run before the outage
		outage  int    // hours
		between bool   // another function was archived until a day ago
		order   func(o archive.Order) archive.Order
		want    int // hours of the gap
		rests   int // of the function that rested before it
	}{
		"run":                      {askedBy: "run", outage: 10 * days, want: 3 * days, rests: 3*days + 3},
		"once":                     {askedBy: "once", outage: 8 * days, want: days, rests: days + 3},
		"just as long":             {askedBy: "run", outage: 7 * days, rests: 3},
		"only a backfill":          {askedBy: "backfill", outage: 10 * days},
		"another function went on": {askedBy: "run", outage: 10 * days, between: true},
		"years":                    {askedBy: "run", outage: 3 * 365 * days, want: 366 * days, rests: 366 * days},
		"a backfill after it": {askedBy: "run", outage: 10 * days, order: func(o archive.Order) archive.Order {
			o.Older, o.Follow = false, false
			return o
		}},
		"a short lookback": {askedBy: "run", outage: 10 * days, want: 3 * days, rests: 3*days + 3, order: func(o archive.Order) archive.Order {
			o.Range.From = o.Range.To.Add(-2 * archive.Hour)
			return o
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			f, rests, other := a.Function("f"), a.Function("rests"), a.Function("other")
			before := run(0)
			before.AskedBy = test.askedBy
			if _, err := a.store.BeginRun(t.Context(), before, hour(0)); err != nil {
				t.Fatal(err)
			}
			commit(t, a.claim(f), lastPage(span(-9, 0), hour(0)))
			commit(t, a.claim(rests), lastPage(span(-9, -3), hour(0)))
			if test.between {
				commit(t, a.claim(other), lastPage(span(-9, test.outage-days), hour(0)))
			}
			o := run(test.outage)
			if test.order != nil {
				o = test.order(o)
			}
			known := []archive.Known{f, rests, other}
			if _, err := a.store.BeginRun(t.Context(), o, hour(test.outage)); err != nil {
				t.Fatal(err)
			}
			due, err := a.store.Due(t.Context(), known, o, hour(test.outage))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range due {
				want := test.want
				if d.Name == "rests" {
					want = test.rests
				}
				if d.Name != "other" && d.Windows != want+o.Range.Windows() {
					t.Errorf("%s: %d windows are due, want %d and %d of the range", d.Name, d.Windows, want, o.Range.Windows())
				}
			}
			if err := a.store.Plan(t.Context(), due, o); err != nil {
				t.Fatal(err)
			}
			again, err := a.store.Due(t.Context(), known, o, hour(test.outage))
			if diff := cmp.Diff(due, again); diff != "" || err != nil {
				t.Errorf("planned: %v (-before +after):\n%s", err, diff)
			}
			if n := value[int](a, `SELECT count(*) FROM windows WHERE function_id = $1 AND planned AND state = 'pending'`, f.ID); n != test.want+o.Range.Windows() {
				t.Errorf("%d windows are planned", n)
			}
			a.CheckTotals()
		})
	}
}

// What is missing since before the outage has no gap after it went missing.
func TestGapOfMissingFunctions(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f, stays := a.Function("f"), a.Function("stays")
	o := runOrder(span(-24, 0))
	if _, err := a.store.BeginRun(t.Context(), o, hour(0)); err != nil {
		t.Fatal(err)
	}
	for _, known := range []archive.Known{f, stays} {
		commit(t, a.claim(known), lastPage(span(-9, -2), hour(0)))
	}
	f.Missing = hour(-1).Add(time.Minute)
	o = runOrder(span(240, 480))
	o.ForgottenBefore = hour(240)
	due, err := a.store.Due(t.Context(), []archive.Known{f, stays}, o, hour(480))
	if err != nil || len(due) != 2 || due[0].Windows != 242+240 || due[1].Windows != 2 || !due[1].Newest.Equal(hour(-1)) {
		t.Errorf("due are %+v, %v", due, err)
	}
}
