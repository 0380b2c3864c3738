package days_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/loadtest"
)

// Two processes with four workers each need the same days at the same time. Each day is
// created once.
func TestPartitionsAreMadeOnce(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	stores := []*loadtest.Archive{a, a.Open(a.URL)}
	const workers, days = 8, 6
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range workers {
		c := stores[i%2].Claim(a.Function(fmt.Sprintf("f%d", i)))
		all.Go(func() {
			<-begin
			for d := range days {
				// Half of the workers take the days in order, the others in
				// reverse order.
				if i%4 >= 2 {
					d = days - 1 - d
				}
				from := loadtest.Today.AddDate(0, 0, d)
				_, err := c.Commit(t.Context(), loadtest.LastPage(loadtest.Hours(from, 24), loadtest.Noted, loadtest.Many(24, loadtest.Hours(from, 48), fmt.Sprintf("r%d-%d", i, d))...))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	close(begin)
	all.Wait()
	if n, want := loadtest.Value[int](a, `SELECT count(*) FROM invocations`), workers*days*24; n != want {
		t.Errorf("%d rows, want %d", n, want)
	}
	if n, want := loadtest.Value[int](a, `
		SELECT count(*) FROM pg_class WHERE relname ~ '^invocations_\d{8}$'`), days+1; n != want {
		t.Errorf("%d days, want %d", n, want)
	}
	a.CheckWindows()
}

// If an operator dropped a day, the write that misses it creates it again.
func TestPartitionDroppedUnderfoot(t *testing.T) {
	t.Parallel()
	for _, how := range []string{
		`DROP TABLE invocations_20260314`,
		`ALTER TABLE invocations_dated DETACH PARTITION invocations_20260314`,
	} {
		a := loadtest.New(t, load.New)
		c := a.NewClaim("f")
		s := loadtest.Hours(loadtest.Today, 1)
		loadtest.Commit(t, c, loadtest.Page(s, loadtest.Noted, loadtest.Record("a", archive.StatusSuccess, loadtest.Today)))
		a.Exec(how)
		if kept := loadtest.Commit(t, c, loadtest.Page(s, loadtest.Later, loadtest.Record("b", archive.StatusSuccess, loadtest.Today))); kept.Inserted != 1 {
			t.Errorf("after %s: %+v", how, kept)
		}
		if n := loadtest.Value[int](a, `SELECT count(*) FROM invocations WHERE request_id = 'b'`); n != 1 {
			t.Errorf("after %s: %d rows", how, n)
		}
	}
}

// A long transaction that reads the archive, such as a dump, does not block the
// creation of a day, and no one waits behind it.
func TestNewDayWaitsForNobody(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"reader":           `SELECT count(*) FROM invocations`,
		"reader of a day":  `SELECT count(*) FROM invocations WHERE start_time >= '2026-03-14' AND start_time < '2026-03-15'`,
		"reader of a view": `SELECT count(*) FROM invocation_history`,
		"writer":           `UPDATE invocations SET error_code = '1' WHERE status = 'SUCCESS'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := loadtest.New(t, load.New)
			loadtest.Commit(t, a.NewClaim("f"), loadtest.Page(loadtest.Hours(loadtest.Today, 1), loadtest.Noted,
				loadtest.Record("a", archive.StatusSuccess, loadtest.Today), loadtest.Record("b", archive.StatusDiscard, time.Time{})))
			open, err := a.SQL.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := open.Rollback(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}()
			if _, err := open.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			impatient := a.Impatient("1s")
			tomorrow := loadtest.Today.AddDate(0, 0, 1)
			_, err = impatient.Claim(a.Function("g")).Commit(t.Context(),
				loadtest.Page(loadtest.Hours(tomorrow, 1), loadtest.Noted, loadtest.Record("c", archive.StatusSuccess, tomorrow)))
			if err != nil {
				t.Errorf("during a %s: %v", name, err)
			}
		})
	}
}

// The partition of each row, for a page with rows of every kind.
func TestPartitionsOfAPage(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	s := loadtest.Hours(loadtest.Today, 24)
	loadtest.Commit(t, c, loadtest.LastPage(s, loadtest.Noted,
		loadtest.Record("a", archive.StatusWait, time.Time{}), loadtest.Record("b", archive.StatusRunning, loadtest.Today),
		loadtest.Record("c", archive.StatusDiscard, time.Time{}), loadtest.Record("d", archive.StatusSuccess, loadtest.Today),
		loadtest.Record("e", archive.StatusFail, loadtest.Today.Add(24*time.Hour-time.Microsecond)),
		loadtest.Record("f", archive.StatusFail, loadtest.Today.Add(24*time.Hour)), loadtest.Record("g", "HIBERNATING", loadtest.Today)))
	want := strings.Fields(`(a,invocations_in_flight) (b,invocations_in_flight) (c,invocations_undated)
		(d,invocations_20260314) (e,invocations_20260314) (f,invocations_20260315) (g,invocations_20260314)`)
	if diff := cmp.Diff(want, a.Rows(`SELECT request_id, tableoid::regclass FROM invocations ORDER BY 1`)); diff != "" {
		t.Error(diff)
	}
}

// The days of a run exist before its first page.
func TestMakeAhead(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	stores := []*loadtest.Archive{a, a.Open(a.URL)}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if err := stores[i%2].Days.MakeAhead(t.Context(), loadtest.Today.Add(23*time.Hour)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff([]string{"(invocations_20260314,t,f,f)", "(invocations_20260315,t,f,f)"}, tables(a)); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
}

// A crash, or an operator, can leave a day's table that is not attached.
func TestMakeDayTakesUpATableLeftBehind(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	a.Exec(`CREATE TABLE archiver_days.invocations_20260314 (LIKE invocations INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, 1), loadtest.Noted, loadtest.Record("r", archive.StatusSuccess, loadtest.Today)))
	want := []string{`(r,invocations_20260314)`}
	if diff := cmp.Diff(want, a.Rows(`SELECT request_id, tableoid::regclass FROM invocations`)); diff != "" {
		t.Error(diff)
	}
}

// The days are made with days.Storage. The schema sets the same for undated rows.
func TestStorageOfDays(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	tables := a.Rows(`
		SELECT relname, array_to_string(reloptions, ', ')
		  FROM pg_class
		 WHERE relname ~ '^invocations_(2026|undated)' AND relkind = 'r'`)
	if len(tables) < 2 {
		t.Errorf("there are %d tables", len(tables))
	}
	for _, options := range tables {
		if !strings.Contains(options, strings.ReplaceAll(strings.ReplaceAll(days.Storage, " ", ""), ",", ", ")) {
			t.Errorf("%s, want %s", options, days.Storage)
		}
	}
}
