package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// A window is off, not complete, if the source kept no records for its whole hour and
// no record came. The view and the status agree.
func TestOff(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c, never, always, unknown := a.newClaim("f"), a.newClaim("never off"), a.newClaim("always off"), a.newClaim("unknown")
	commit(t, c, lastPage(hours(today, 12), noted,
		record("a", "SUCCESS", today), record("b", "SUCCESS", today.Add(5*time.Hour+time.Minute))))
	for _, of := range []*claim{never, always, unknown} {
		commit(t, of, lastPage(hours(today, 3), noted))
	}
	at := func(h, m int) time.Time { return today.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute) }
	keep(t, c, answer(told("urn:f", 1, at(-5, 0), true)), at(0, 0))
	keep(t, c, answer(told("urn:f", 1, at(2, 0), false)), at(2, 10)) // hours 2 and 3 are off
	keep(t, c, answer(told("urn:f", 2, at(3, 20), false)), at(3, 30))
	keep(t, c, answer(told("urn:f", 2, at(4, 10), true)), at(4, 30))
	keep(t, c, answer(told("urn:f", 2, at(4, 50), false)), at(4, 55)) // hour 5 has a record, 6 is off
	keep(t, c, answer(told("urn:f", 2, at(7, 10))), at(7, 30))        // not said
	keep(t, c, answer(told("urn:f", 2, at(8, 0), false)), at(8, 1))   // hour 8 is off
	keep(t, c, answer(), at(9, 0))                                    // no settings
	keep(t, c, answer(told("urn:f", 2, at(10, 30), false)), at(10, 31))
	keep(t, c, answer(told("urn:f", 3, at(11, 20), false)), at(11, 31)) // hour 11 is off
	keep(t, never, answer(told("urn:never off", 1, at(-5, 0), true)), at(0, 0))
	keep(t, always, answer(told("urn:always off", 1, at(-5, 0), false)), at(0, 0))
	keep(t, unknown, answer(told("urn:unknown", 1, at(-5, 0))), at(0, 0))

	want := []string{`("urn:always off",ooo)`, `(urn:f,ccooccococco)`, `("urn:never off",ccc)`, `(urn:unknown,ccc)`}
	if diff := cmp.Diff(want, a.rows(`
		SELECT function_urn, string_agg(left(state, 1), '' ORDER BY window_start)
		  FROM window_coverage
		 GROUP BY 1
		 ORDER BY 1`)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	type line struct {
		Complete, Off, Windows     int64
		From, To, Since, OpenSince *time.Time
	}
	lines := map[string]line{}
	for _, f := range a.store.status(t) {
		lines[f.Name] = line{f.Complete, f.Off, f.Windows, f.CompleteFrom, f.CompleteTo, f.OffSince, f.OpenSince}
	}
	when := func(h, m int) *time.Time { t := at(h, m); return &t }
	if diff := cmp.Diff(map[string]line{
		"f":          {7, 5, 12, when(0, 0), when(11, 0), when(10, 30), nil},
		"never off":  {3, 0, 3, when(0, 0), when(3, 0), nil, nil},
		"always off": {0, 3, 3, nil, nil, when(-5, 0), nil},
		"unknown":    {3, 0, 3, when(0, 0), when(3, 0), nil, nil},
	}, lines); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// The same URN in another region is another function.
func TestOffElsewhere(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	here := a.newClaim("f")
	known, err := a.store.SeeFunctions(t.Context(), archive.SourceID{Provider: "functiongraph", Region: "eu-de", ProjectID: "p"},
		[]archive.Function{{URN: "urn:f", Name: "f"}}, noted)
	if err != nil {
		t.Fatal(err)
	}
	there := a.claim(known[0])
	commit(t, here, lastPage(hours(today, 1), noted))
	commit(t, there, lastPage(hours(today, 1), noted))
	keep(t, there, answer(told("urn:f", 1, today, false)), noted)
	keep(t, here, answer(told("urn:f", 1, today, true)), noted)
	if diff := cmp.Diff([]string{"(complete,1)", "(off,1)"}, a.rows(`SELECT state, count(*) FROM window_coverage GROUP BY 1 ORDER BY 1`)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
