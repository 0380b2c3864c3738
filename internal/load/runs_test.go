package load

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/read"
)

func TestRuns(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	order := archive.Order{AskedBy: "backfill", Range: span(0, 6)}
	summary := archive.Summary{
		Totals: archive.Totals{Windows: 6, Done: 5, Complete: 5, Inserted: 10, Updated: 2, Unchanged: 3, Rejected: 1},
		Calls:  4,
	}
	const done = `backfill,"2026-03-14 00:00:00","2026-03-14 06:00:00","2026-03-20 08:00:00","2026-03-20 09:00:00",6,5,15,10,1,4`
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, done + `,complete,`},
		{&archive.IncompleteError{Failed: 1}, done + `,incomplete,"1 windows are not complete"`},
		{fmt.Errorf("archive: %w", &archive.IncompleteError{NotDue: 2}), done + `,incomplete,"archive: 2 windows have not settled yet, run again later"`},
		{fmt.Errorf("archive: %w", archive.ErrInterrupted), done + `,interrupted,"archive: interrupted, progress is kept"`},
		{archive.ErrDenied, done + `,failed,"denied by the source"`},
		{errors.New("no route"), done + `,failed,"no route"`},
	} {
		id, err := a.store.BeginRun(t.Context(), order, noted)
		if err != nil {
			t.Fatal(err)
		}
		const run = `
			SELECT asked_by, range_from AT TIME ZONE 'UTC', range_to AT TIME ZONE 'UTC', started_at AT TIME ZONE 'UTC',
			       finished_at AT TIME ZONE 'UTC', windows, complete, records, inserted, rejected, calls, outcome, error
			  FROM runs WHERE run_id = $1`
		begun := []string{`(backfill,"2026-03-14 00:00:00","2026-03-14 06:00:00","2026-03-20 08:00:00",,,,,,,,running,)`}
		if diff := cmp.Diff(begun, a.Rows(run, id)); diff != "" {
			t.Errorf("begun (-want +got):\n%s", diff)
		}
		noting := archive.Noted{Totals: archive.Totals{Windows: 6, Done: 2, Inserted: 3, Unchanged: 1}, Calls: 2, Refused: 1, Doubt: "clocks differ"}
		if err := a.store.NoteRun(t.Context(), id, noting, noted.Add(archive.NoteEvery)); err != nil {
			t.Fatal(err)
		}
		const far = `
			SELECT seen_at AT TIME ZONE 'UTC', windows_planned, windows_done, records_done, calls_done, refused_done, clocks
			  FROM runs WHERE run_id = $1`
		if diff := cmp.Diff([]string{`("2026-03-20 08:00:05",6,2,4,2,1,"clocks differ")`}, a.Rows(far, id)); diff != "" {
			t.Errorf("noted (-want +got):\n%s", diff)
		}
		if err := a.store.EndRun(t.Context(), id, summary, test.err, later); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"(" + test.want + ")"}, a.Rows(run, id)); diff != "" {
			t.Errorf("ended with %v (-want +got):\n%s", test.err, diff)
		}
		if diff := cmp.Diff([]string{`("2026-03-20 09:00:00",6,5,15,4,0,)`}, a.Rows(far, id)); diff != "" {
			t.Errorf("how far it came in the end (-want +got):\n%s", diff)
		}
	}
	if _, err := a.store.BeginRun(t.Context(), order, later); err != nil {
		t.Fatal(err)
	}
	var runs []read.Run
	err := a.Read.Snapshot(t.Context(), func(s *read.Snapshot) (err error) {
		runs, err = s.Runs(t.Context(), 2, later)
		return err
	})
	if err != nil || len(runs) != 2 {
		t.Fatalf("%+v, %v", runs, err)
	}
	if r := runs[0]; r.Outcome != "running" || r.Finished != nil || !r.Started.Equal(later) || !r.Seen.Equal(later) {
		t.Errorf("the newest run: %+v", r)
	}
	if r := runs[1]; r.Outcome != "failed" || r.Error == nil || *r.Error != "no route" || *r.Records != 15 {
		t.Errorf("the one before: %+v", r)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	see := func(at time.Time, names ...string) map[string]int32 {
		t.Helper()
		var list []archive.Function
		for _, name := range names {
			list = append(list, archive.Function{URN: "urn:" + name, Name: name})
		}
		known, err := a.store.SeeFunctions(t.Context(), loadtest.Source, list, at)
		if err != nil {
			t.Fatal(err)
		}
		ids := make(map[string]int32)
		for _, k := range known {
			ids[k.Name] = k.ID
		}
		return ids
	}
	first := see(noted, "a", "b", "c", "a") // a list may repeat itself
	if len(first) != 3 {
		t.Fatalf("%v", first)
	}
	again := see(later, "c", "a")
	if again["a"] != first["a"] || again["c"] != first["c"] {
		t.Errorf("numbers were %v and are %v", first, again)
	}
	unseen := func() (names []string) {
		t.Helper()
		known, err := a.store.UnseenFunctions(t.Context(), loadtest.Source, later, 30*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range known {
			names = append(names, k.Name)
		}
		return names
	}
	if diff := cmp.Diff([]string{"b"}, unseen()); diff != "" {
		t.Error(diff)
	}
	b := archive.Known{ID: first["b"], Function: archive.Function{URN: "urn:b", Name: "b"}}
	if err := a.claim(b).Gone(t.Context(), nil, later); err != nil {
		t.Fatal(err)
	}
	if left := unseen(); len(left) != 0 {
		t.Errorf("what is gone is asked for again at once: %v", left)
	}
	if n := value[int](a, `SELECT count(*) FROM functions WHERE gone_at IS NOT NULL`); n != 1 {
		t.Errorf("%d functions are gone", n)
	}
	see(later, "b") // it was listed all the time
	if n := value[int](a, `SELECT count(*) FROM functions WHERE gone_at IS NOT NULL`); n != 1 {
		t.Errorf("%d functions are gone", n)
	}
	if err := a.store.EndList(t.Context(), loadtest.Source, nil, later.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	a.Exec(`UPDATE functions SET last_seen = $1`, later)
	see(later, "a", "b", "c")
	if n := value[int](a, `SELECT count(*) FROM functions WHERE gone_at IS NOT NULL OR last_seen <> $1`, later); n != 0 {
		t.Errorf("after all were listed again, %d are gone or unseen", n)
	}
	if n := value[int](a, `SELECT count(*) FROM functions WHERE first_seen <> $1`, noted); n != 0 {
		t.Errorf("%d functions were first seen again", n)
	}
	elsewhere := loadtest.Source
	elsewhere.Region = "another"
	if known, err := a.store.UnseenFunctions(t.Context(), elsewhere, later, 30*24*time.Hour); err != nil || len(known) != 0 {
		t.Errorf("another region's: %v, %v", known, err)
	}
}

// When a function is gone, its due windows are gone. Complete windows stay.
func TestGone(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	commit(t, c, lastPage(span(0, 2), noted, record("r", archive.StatusSuccess, hour(0))))
	commit(t, c, page(span(2, 4), noted, record("s", archive.StatusSuccess, hour(2))))
	if err := c.Gone(t.Context(), []archive.Span{span(2, 4), span(5, 6)}, later); err != nil {
		t.Fatal(err)
	}
	want := []string{"(0,complete,1,)", "(1,complete,0,)", `(2,gone,1,"function is gone")`, `(3,gone,0,"function is gone")`, `(5,gone,0,"function is gone")`}
	const windows = `
		SELECT extract(hour FROM window_start AT TIME ZONE 'UTC')::integer, state, records, last_error
		  FROM windows ORDER BY window_start`
	if diff := cmp.Diff(want, a.Rows(windows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := value[int](a, `SELECT count(*) FROM walks`); n != 0 {
		t.Errorf("%d walks are open", n)
	}
	a.CheckWindows()
}

// A forced run reads complete windows again. If the function is gone by then, they stay
// complete.
func TestGoneLeavesCompleteWindows(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	commit(t, c, lastPage(span(0, 2), noted, record("r", archive.StatusSuccess, hour(0))))
	before := a.Rows(`SELECT * FROM windows ORDER BY window_start`)
	if err := c.Gone(t.Context(), []archive.Span{span(0, 2)}, later); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, a.Rows(`SELECT * FROM windows ORDER BY window_start`)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
