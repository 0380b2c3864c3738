package read_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
)

// A window is off, not complete, if the source kept no records for its whole hour and
// no record came. The view and the status agree.
func TestOff(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c, never, always, unknown := a.NewClaim("f"), a.NewClaim("never off"), a.NewClaim("always off"), a.NewClaim("unknown")
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, 12), loadtest.Noted,
		loadtest.Record("a", "SUCCESS", loadtest.Today), loadtest.Record("b", "SUCCESS", loadtest.Today.Add(5*time.Hour+time.Minute))))
	for _, of := range []archive.Claim{never, always, unknown} {
		loadtest.Commit(t, of, loadtest.LastPage(loadtest.Hours(loadtest.Today, 3), loadtest.Noted))
	}
	at := func(h, m int) time.Time {
		return loadtest.Today.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
	}
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 1, at(-5, 0), true)), at(0, 0))
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 1, at(2, 0), false)), at(2, 10)) // hours 2 and 3 are off
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 2, at(3, 20), false)), at(3, 30))
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 2, at(4, 10), true)), at(4, 30))
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 2, at(4, 50), false)), at(4, 55)) // hour 5 has a record, 6 is off
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 2, at(7, 10))), at(7, 30))        // not said
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 2, at(8, 0), false)), at(8, 1))   // hour 8 is off
	loadtest.Keep(t, c, loadtest.Answer(), at(9, 0))                                             // no settings
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 2, at(10, 30), false)), at(10, 31))
	loadtest.Keep(t, c, loadtest.Answer(loadtest.Told("urn:f", 3, at(11, 20), false)), at(11, 31)) // hour 11 is off
	loadtest.Keep(t, never, loadtest.Answer(loadtest.Told("urn:never off", 1, at(-5, 0), true)), at(0, 0))
	loadtest.Keep(t, always, loadtest.Answer(loadtest.Told("urn:always off", 1, at(-5, 0), false)), at(0, 0))
	loadtest.Keep(t, unknown, loadtest.Answer(loadtest.Told("urn:unknown", 1, at(-5, 0))), at(0, 0))

	want := []string{`("urn:always off",ooo)`, `(urn:f,ccooccococco)`, `("urn:never off",ccc)`, `(urn:unknown,ccc)`}
	if diff := cmp.Diff(want, a.Rows(`
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
	for _, f := range a.Status() {
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
	a := loadtest.New(t, load.New)
	here := a.NewClaim("f")
	known, err := a.Store.SeeFunctions(t.Context(), archive.SourceID{Provider: "functiongraph", Region: "eu-de", ProjectID: "p"},
		[]archive.Function{{URN: "urn:f", Name: "f"}}, loadtest.Noted)
	if err != nil {
		t.Fatal(err)
	}
	there := a.Claim(known[0])
	loadtest.Commit(t, here, loadtest.LastPage(loadtest.Hours(loadtest.Today, 1), loadtest.Noted))
	loadtest.Commit(t, there, loadtest.LastPage(loadtest.Hours(loadtest.Today, 1), loadtest.Noted))
	loadtest.Keep(t, there, loadtest.Answer(loadtest.Told("urn:f", 1, loadtest.Today, false)), loadtest.Noted)
	loadtest.Keep(t, here, loadtest.Answer(loadtest.Told("urn:f", 1, loadtest.Today, true)), loadtest.Noted)
	if diff := cmp.Diff([]string{"(complete,1)", "(off,1)"}, a.Rows(`SELECT state, count(*) FROM window_coverage GROUP BY 1 ORDER BY 1`)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
