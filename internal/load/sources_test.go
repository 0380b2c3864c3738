package load

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// The view sources tells when the passes of each source come, and how they end: by schedule,
// or as the last ones came.
func TestSources(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	shop := archive.Origin{ID: archive.SourceID{Provider: "functiongraph", Region: "eu-de", ProjectID: "p"}, Name: "shop", Retention: 72 * time.Hour}
	at := noted
	pass := func(by string, of archive.Origin, began time.Time, err error) {
		t.Helper()
		id, failed := a.store.BeginRun(t.Context(), archive.Order{AskedBy: by, Source: of, Range: span(0, 6)}, began)
		if failed == nil {
			failed = a.store.EndRun(t.Context(), id, archive.Summary{}, err, began.Add(time.Minute))
		}
		if failed != nil {
			t.Fatal(failed)
		}
	}
	want := func(when string, rows ...string) {
		t.Helper()
		got := a.Rows(`
			SELECT name, region, project_id, to_char(last_seen AT TIME ZONE 'UTC', 'DD HH24:MI') AS seen, last_success_at AT TIME ZONE 'UTC' AS success, last_outcome, last_error,
			       failing_since AT TIME ZONE 'UTC' AS since, failed_passes, pass_every, next_attempt_at AT TIME ZONE 'UTC' AS next, due_by AT TIME ZONE 'UTC' AS due
			  FROM sources ORDER BY source_id`)
		if diff := cmp.Diff(rows, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	denied := errors.New("denied")

	pass("backfill", shop, at, nil)
	want("a backfill is no pass", `(shop,eu-de,p,"20 08:00",,,,,0,,,)`)
	pass("once", shop, at, nil)
	want("one pass of once", `(shop,eu-de,p,"20 08:00","2026-03-20 08:01:00",complete,,,0,01:00:00,"2026-03-20 09:00:00","2026-03-20 10:15:00")`)
	pass("once", shop, at.Add(24*time.Hour), denied)
	pass("once", shop, at.Add(48*time.Hour), denied)
	pass("once", shop, at.Add(48*time.Hour+time.Minute), archive.ErrInterrupted)
	want("a pass each day, and one by hand", `(shop,eu-de,p,"22 08:01","2026-03-20 08:01:00",failed,denied,"2026-03-21 08:01:00",2,"1 day","2026-03-23 08:00:00","2026-03-24 08:15:00")`)
	at = at.Add(50 * time.Hour)
	ticking := shop
	ticking.Ticks = [2]time.Time{at.Add(7 * time.Minute), at.Add(67 * time.Minute)}
	pass("run", ticking, at, nil)
	want("by a schedule", `(shop,eu-de,p,"22 10:00","2026-03-22 10:01:00",complete,,,0,01:00:00,"2026-03-22 10:07:00","2026-03-22 11:22:00")`)

	// What could not be opened has no project yet.
	stock := archive.Origin{ID: archive.SourceID{Provider: "functiongraph", Region: "eu-de"}, Name: "stock"}
	pass("run", stock, at, denied)
	pass("run", stock, at.Add(time.Minute), denied)
	stock.ID.ProjectID = "q"
	pass("run", stock, at.Add(2*time.Minute), denied)
	stock.ID.ProjectID = ""
	pass("run", stock, at.Add(3*time.Minute), denied)
	// Another account takes the name of the first one, which gets another.
	shop.ID.ProjectID, shop.Name = "r", "shop"
	pass("backfill", shop, at, nil)
	got := a.Rows(`SELECT s.name, s.project_id, count(r.*) FROM sources s LEFT JOIN runs r USING (source_id) GROUP BY s.source_id, s.name, s.project_id ORDER BY s.source_id`)
	if diff := cmp.Diff([]string{"(functiongraph/eu-de/p/1,p,6)", "(stock,q,4)", "(shop,r,1)"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// Two sources may read one account, each its own functions. What one does tells nothing of
// the other.
func TestSourcesOfOneAccount(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	id := archive.SourceID{Provider: "functiongraph", Region: "eu-de", ProjectID: "p"}
	run := func(name string, id archive.SourceID, err error, picks ...string) {
		t.Helper()
		began := noted.Add(time.Duration(len(a.Rows(`SELECT run_id FROM runs`))) * time.Minute)
		run, failed := a.store.BeginRun(t.Context(), archive.Order{AskedBy: "run", Source: archive.Origin{ID: id, Name: name}, Range: span(0, 6)}, began)
		if failed == nil && err == nil {
			var functions []archive.Known
			functions, failed = a.store.SeeFunctions(t.Context(), id, []archive.Function{{URN: "urn:a", Name: "a"}, {URN: "urn:b", Name: "b"}, {URN: "urn:c", Name: "c"}}, began)
			var excluded, read []int32
			for _, f := range functions {
				if slices.Contains(picks, f.Name) {
					read = append(read, f.ID)
				} else {
					excluded = append(excluded, f.ID)
				}
			}
			failed = errors.Join(failed, a.store.Exclude(t.Context(), run, excluded, read, true, began))
		}
		if failed = errors.Join(failed, a.store.EndRun(t.Context(), run, archive.Summary{}, err, began)); failed != nil {
			t.Fatal(failed)
		}
	}
	want := func(when string, rows ...string) {
		t.Helper()
		got := a.Rows(`
			SELECT s.name, s.failed_passes, s.last_success_at IS NOT NULL AS succeeded,
			       string_agg(f.function_name || ' ' || f.standing, ', ' ORDER BY f.function_name) AS functions
			  FROM sources s
			  LEFT JOIN functions f USING (source_id)
			 GROUP BY 1, 2, 3
			 ORDER BY 1`)
		if diff := cmp.Diff(rows, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	run("functiongraph/eu-de/p", id, nil, "a", "b", "c")
	want("without a name", `(functiongraph/eu-de/p,0,t,"a wanted, b wanted, c wanted")`)
	run("one", id, nil, "a", "c")
	want("a name, and fewer functions", `(one,0,t,"a wanted, b excluded, c wanted")`)
	run("two", id, nil, "b")
	want("two names", `(one,0,t,"a wanted, c wanted")`, `(two,0,t,"b wanted")`)
	run("two", archive.SourceID{Provider: "functiongraph", Region: "eu-de"}, errors.New("denied"))
	run("one", id, nil, "a")
	want("one fails, the other one succeeds", `(one,0,t,"a wanted, c excluded")`, `(two,1,t,"b wanted")`)
	run("three", archive.SourceID{Provider: "functiongraph"}, errors.New("denied"))
	want("a third one fails before its project is known", `(one,0,t,"a wanted, c excluded")`, `(three,1,f,)`, `(two,1,t,"b wanted")`)
	run("three", id, nil, "c")
	want("and is found out", `(one,0,t,"a wanted")`, `(three,0,t,"c wanted")`, `(two,1,t,"b wanted")`)
}

// An account that was reached by its endpoint, without a region, is the same source when its
// region is known: its functions are not read again.
func TestRegionAddedLater(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	id := archive.SourceID{Provider: "functiongraph", ProjectID: "p"}
	begin := func() {
		t.Helper()
		if _, err := a.store.BeginRun(t.Context(), archive.Order{AskedBy: "run", Source: archive.Origin{ID: id, Name: "functiongraph/p"}, Range: span(0, 6)}, noted); err != nil {
			t.Fatal(err)
		}
		if _, err := a.store.SeeFunctions(t.Context(), id, []archive.Function{{URN: "urn:f", Name: "f"}}, noted); err != nil {
			t.Fatal(err)
		}
		if err := a.store.EndList(t.Context(), id, nil, noted); err != nil {
			t.Fatal(err)
		}
		if err := a.store.Learn(t.Context(), id, []archive.Learned{{What: archive.LearnedRange, Value: 5, At: noted}}); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	id.Region = "eu-de"
	begin()
	for _, table := range []string{"functions", "source_lists", "archiver_internal.learned", "archiver_internal.source_notes"} {
		if got := a.Rows(`SELECT region FROM ` + table); !cmp.Equal(got, []string{"(eu-de)"}) {
			t.Errorf("%s is of %v", table, got)
		}
	}
}
