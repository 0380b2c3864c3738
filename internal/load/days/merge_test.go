package days_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
)

// may is a day whose month is old by the clock of aged.
var may = time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)

// aged is an archive with records on the first three days of an old month, which have
// tables of their own, and on today. Its clock stands at loadtest.Noted.
func aged(t *testing.T) (*loadtest.Archive, archive.Claim) {
	t.Helper()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	for _, d := range []time.Time{may, may.AddDate(0, 0, 1), may.AddDate(0, 0, 2), loadtest.Today} {
		loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(d, 24), loadtest.Noted, loadtest.Many(48, loadtest.Hours(d, 24), d.Format("r0102-"))...))
	}
	a.Days.UseClock(clocktest.New(loadtest.Noted))
	return a, c
}

const allRows = `SELECT string_agg(i::text, E'\n' ORDER BY i::text) FROM invocations i`

// The days of an old month become one table with the same rows, which readers find at
// every moment, also those whose transaction began before.
func TestMerge(t *testing.T) {
	t.Parallel()
	a, c := aged(t)
	rows := loadtest.Value[string](a, allRows)
	before, err := a.SQL.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Exec(t.Context(), `SELECT FROM functions`); err != nil { // takes the snapshot
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var n, ids int
			err := a.SQL.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT request_id) FROM invocations`).Scan(&n, &ids)
			if err != nil || n != 4*48 || ids != n {
				t.Errorf("a reader finds %d rows of %d requests: %v", n, ids, err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	unmerged, err := a.Days.Unmerged(t.Context(), time.Time{}, false)
	if err != nil || len(unmerged) != 1 || unmerged[0].Bytes == 0 {
		t.Errorf("unmerged are %+v, %v", unmerged, err)
	}
	s, log := logged(a)
	s.Days.UseClock(clocktest.New(loadtest.Noted))
	if err := s.Days.Merge(t.Context(), may.AddDate(0, 0, -20), untold); err != nil || len(tables(a)) != 4 {
		t.Errorf("days that are soon dropped: %v, %s", err, tables(a))
	}
	if soon, err := s.Days.Unmerged(t.Context(), may.AddDate(0, 0, -20), false); err != nil || len(soon) != 0 {
		t.Errorf("of days that are soon dropped, unmerged are %+v, %v", soon, err)
	}
	loadtest.Eventually(t, "the readers let the merge through", func() bool {
		err = s.Days.Merge(t.Context(), time.Time{}, untold)
		return len(tables(a)) == 2
	})
	close(stop)
	<-stopped
	if diff := cmp.Diff([]string{"(invocations_202505,t,f,f)", "(invocations_20260314,t,f,f)"}, tables(a)); diff != "" || err != nil {
		t.Errorf("tables (-want +got): %v\n%s", err, diff)
	}
	if want := `msg="days merged" month=2025-05 rows=144`; !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %s:\n%s", want, log)
	}
	if got := loadtest.Value[string](a, allRows); got != rows {
		t.Errorf("rows (-before +after):\n%s", cmp.Diff(rows, got))
	}
	var got string
	if err := before.QueryRow(t.Context(), allRows).Scan(&got); err != nil || got != rows {
		t.Errorf("an older transaction finds, %v (-before +after):\n%s", err, cmp.Diff(rows, got))
	}
	if err := before.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := a.Rows(`SELECT conname FROM pg_constraint WHERE conrelid = 'invocations_202505'::regclass AND contype = 'c'`); len(left) != 0 {
		t.Errorf("constraints %s are left", left)
	}
	if n := loadtest.Value[int](a, `SELECT count(*) FROM pg_index WHERE indrelid = 'invocations_202505'::regclass`); n != 2 {
		t.Errorf("the month has %d indexes", n)
	}
	a.CheckWindows()

	// Pages find their records in the month, and another day of the month needs no table.
	kept := loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(may, 24), loadtest.Later, loadtest.Many(48, loadtest.Hours(may, 24), "r0501-")...))
	if kept.Unchanged != 48 {
		t.Errorf("read again: %+v", kept)
	}
	changed := loadtest.Many(48, loadtest.Hours(may, 24), "r0501-")
	for i := range changed {
		changed[i].ErrorCode = "late"
	}
	fourth := may.AddDate(0, 0, 3)
	kept = loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(may, 96), loadtest.Later, append(changed, loadtest.Record("new", archive.StatusSuccess, fourth))...))
	if kept.Updated != 48 || kept.Inserted != 1 || len(tables(a)) != 2 {
		t.Errorf("changed: %+v, %s", kept, tables(a))
	}
	a.CheckWindows()
	a.CountFigures()
	a.CheckFigures()
	// A second function may bring an id on another day, as with tables of days.
	loadtest.Commit(t, a.NewClaim("g"), loadtest.Page(loadtest.Hours(fourth, 1), loadtest.Later, loadtest.Record("r0501-1", archive.StatusFail, fourth)))
	const twice = `INSERT INTO invocations SELECT * FROM invocations WHERE request_id = 'new'`
	if _, err := a.SQL.Exec(t.Context(), twice); err == nil || !strings.Contains(err.Error(), "23505") {
		t.Errorf("an id twice on one day: %v", err)
	}
}

// Retention deletes the days of a month one by one, and drops the month with its last day.
func TestRetainInAMonth(t *testing.T) {
	t.Parallel()
	a, c := aged(t)
	if err := a.Days.Merge(t.Context(), time.Time{}, untold); err != nil {
		t.Fatal(err)
	}
	s, log := logged(a)
	for n := range 3 {
		before := may.AddDate(0, 0, n+1)
		if n == 2 {
			before = before.AddDate(0, 1, 0)
		}
		older, err := s.Days.Older(t.Context(), before)
		if err != nil || len(older) != 1 || older[0].Partition != "invocations_202505" || older[0].Rows != 48 || older[0].Bytes > 0 != (n == 2) {
			t.Errorf("older than %s are %+v, %v", before, older, err)
		}
		if err := s.Days.Retain(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if left := loadtest.Value[int](a, `SELECT count(*) FROM invocations WHERE start_time < '2026-01-01'`); left != 48*(2-n) {
			t.Errorf("%d rows are left", left)
		}
		a.CheckWindows()
	}
	if want := "(invocations_20260314,t,f,f)"; fmt.Sprint(tables(a)) != "["+want+"]" {
		t.Errorf("tables are %s", tables(a))
	}
	for _, said := range []string{"2025-05-01 rows=48 bytes=0\n", "2025-05-02 rows=48 bytes=0\n", "2025-05-03 rows=48 bytes=0\n", "2025-05 rows=0 bytes="} {
		if !strings.Contains(log.String(), `msg="day dropped" day=`+said) {
			t.Errorf("%s is not in the log:\n%s", said, log)
		}
	}
	// Read again, the days have one table from the start.
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(may, 24), loadtest.Later, loadtest.Many(48, loadtest.Hours(may, 24), "r0501-")...))
	if diff := cmp.Diff([]string{"(invocations_202505,t,f,f)", "(invocations_20260314,t,f,f)"}, tables(a)); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	a.CheckWindows()
	a.CountFigures()
}

// The question of README.md and a look-up of one request id over 1,100 days, as soon as
// they have been archived.
func TestLocksOfAThousandDays(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	a.Days.UseClock(clocktest.New(loadtest.Noted))
	c := a.NewClaim("f")
	from := loadtest.Today.AddDate(0, 0, -1099)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, 1), loadtest.Noted)) // a run reads the newest hour first
	for d := from; !d.After(loadtest.Today); d = d.AddDate(0, 0, 100) {
		loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(d, 2400), loadtest.Noted, loadtest.Many(300, loadtest.Hours(d, 2400), d.Format("060102-"))...))
	}
	if err := a.Days.Analyze(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, question := range []string{
		`SELECT function_name, error_code, count(*) FROM invocation_history
		  WHERE status = 'FAIL' AND start_time >= now() - interval '12 hours' GROUP BY 1, 2`,
		`SELECT * FROM invocation_history WHERE request_id = '` + from.Format("060102-") + `1'`,
	} {
		tx, err := a.SQL.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := tx.Exec(t.Context(), question); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		var locks int
		if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'`).Scan(&locks); err != nil {
			t.Fatal(err)
		}
		room, err := a.Days.Locks(t.Context())
		if t.Logf("%d locks, %s", locks, took); locks > 400 || err != nil || room.Query < locks-10 || room.Needed() > 0 {
			t.Errorf("%d locks for %s; expected are %+v, %v", locks, question, room, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a.CheckWindows()
}
