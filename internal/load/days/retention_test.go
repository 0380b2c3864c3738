package days_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/pg"
)

// tables are the tables of days with their state.
func tables(a *loadtest.Archive) []string {
	a.T.Helper()
	return a.Rows(`SELECT relname, attached, pending, closed FROM (` + days.SelectTables + `) AS d ORDER BY 1`)
}

// filled is an archive of three days up to today, and a claim of its function.
func filled(t *testing.T) (*loadtest.Archive, archive.Claim) {
	t.Helper()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	loadtest.Fill(t, c)
	return a, c
}

// logged is another process on the archive, and its log.
func logged(a *loadtest.Archive) (*loadtest.Archive, *bytes.Buffer) {
	a.T.Helper()
	s := a.Open(a.URL)
	log := new(bytes.Buffer)
	s.DB.Log = slog.New(slog.NewTextHandler(log, nil))
	return s, log
}

// Older days are dropped with all that belongs to them. Records in flight stay, and
// so does the day of the given time.
func TestRetain(t *testing.T) {
	t.Parallel()
	a, c := filled(t)
	s, log := logged(a)
	older, err := s.Days.Older(t.Context(), loadtest.Today.Add(13*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(older) != 2 || older[0].Day != loadtest.Today.AddDate(0, 0, -2) || older[1].Partition != "invocations_20260313" ||
		older[0].Rows != 11 || older[0].Bytes == 0 {
		t.Errorf("older are %+v", older)
	}
	for range 2 {
		if err := s.Days.Retain(t.Context(), loadtest.Today.Add(13*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for i, o := range older {
		line := fmt.Sprintf("level=INFO msg=\"day dropped\" day=%s rows=11 bytes=%d\n", o.Day.Format(time.DateOnly), o.Bytes)
		if strings.Count(log.String(), line) != 1 {
			t.Errorf("day %d is not in the log once, with %q:\n%s", i, line, log)
		}
	}
	if diff := cmp.Diff([]string{`(invocations_20260314,t,f,f)`}, tables(a)); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	want := []string{
		`(rejected,bad2)`, `(row,undated2)`, `(row,waits0)`, `(row,waits1)`, `(row,waits2)`,
		`("window 2026-03-12",pending,f,1,1,0)`, `("window 2026-03-13",pending,f,1,1,0)`,
	}
	got := a.Rows(`
		SELECT 'row', request_id FROM invocations WHERE request_id !~ '^r'
		UNION ALL SELECT 'rejected', payload FROM rejected_records ORDER BY 1, 2`)
	got = append(got, a.Rows(`
		SELECT 'window ' || window_start::date, state, planned, records, pending, rejected
		  FROM windows WHERE window_start < $1 ORDER BY 1`, loadtest.Today)...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if n := loadtest.Value[int](a, `SELECT count(*) FROM invocations WHERE request_id ~ '^r'`); n != 10 {
		t.Errorf("%d rows are left", n)
	}
	a.CheckWindows()

	// A record in flight settles into the dropped day. The next retention drops the
	// day again.
	r := archive.InFlightRecord{RequestID: "waits0", Window: loadtest.Today.AddDate(0, 0, -2).Add(time.Hour)}
	kept, err := c.Follow(t.Context(), r, []archive.Invocation{loadtest.Record("waits0", archive.StatusSuccess, r.Window)}, nil, loadtest.Later)
	if err != nil || kept.Updated != 1 {
		t.Fatalf("follow: %+v, %v", kept, err)
	}
	a.CheckWindows()
	if err := s.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `day=2026-03-12 rows=1 `) {
		t.Errorf("the day that was made again is not in the log:\n%s", log)
	}
	a.CheckWindows()
}

// A table that an operator detached is left alone.
func TestRetainLeavesForeignTables(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	a.Exec(`ALTER TABLE invocations_dated DETACH PARTITION invocations_20260312`)
	a.Exec(`CREATE TABLE archiver_days.invocations_20261399 ()`)
	if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	if n := loadtest.Value[int](a, `SELECT count(*) FROM invocations_20260312`); n != 10 {
		t.Errorf("%d rows are left of a table that is not attached", n)
	}
}

// waiting counts sessions whose statement is like the given one and waits for a lock.
func waiting(a *loadtest.Archive, statement string) int {
	a.T.Helper()
	return loadtest.Value[int](a, `
		SELECT count(*) FROM pg_stat_activity
		 WHERE datname = current_database() AND query ~ $1 AND cardinality(pg_blocking_pids(pid)) > 0`, statement)
}

// A reader of the oldest day does not end. Retention waits for it; commits into other
// days do not wait, not even into a new day. Then retention gives up, reports the
// day, and has dropped the other day.
func TestRetainGivesUpForAReader(t *testing.T) {
	t.Parallel()
	a, c := filled(t)
	// A commit looks for its request ids within maxLife.
	there, made := loadtest.Today.AddDate(0, 0, 7), loadtest.Today.AddDate(0, 0, 8)
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(there, 1), loadtest.Noted, loadtest.Many(10, loadtest.Hours(there, 1), "there")...))
	end := reader(a, `SELECT count(*) FROM invocations WHERE start_time >= '2026-03-12' AND start_time < '2026-03-13'`)
	impatient := a.Impatient("400ms")
	other := impatient.Claim(a.Function("g"))
	s, log := logged(a)
	ended := make(chan error, 1)
	go func() { ended <- s.Days.Retain(t.Context(), loadtest.Today) }()
	loadtest.Eventually(t, "retention waits for the reader", func() bool { return waiting(a, "^LOCK TABLE") > 0 })
	for _, d := range []time.Time{there, made} {
		if _, err := other.Commit(t.Context(), loadtest.LastPage(loadtest.Hours(d, 1), loadtest.Later, loadtest.Many(10, loadtest.Hours(d, 1), d.Format("new-0102"))...)); err != nil {
			t.Errorf("commit while retention waits: %v", err)
		}
	}
	select {
	case err := <-ended:
		t.Errorf("retention did not wait: %v", err)
	default:
	}
	err := <-ended
	if err == nil || !days.IsBlocked(err) || !strings.Contains(err.Error(), "of 2 days are left to the next run") {
		t.Errorf("retention ends with %v", err)
	}
	if want := `level=WARN msg="day could not be dropped, the next run tries again" day=2026-03-12`; !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, log)
	}
	if n := loadtest.Value[int](a, `SELECT count(*) FROM windows WHERE window_start < '2026-03-13'`); n != 24 {
		t.Errorf("%d windows are left of the day that is read", n)
	}
	a.CheckWindows()
	end()
	if err := s.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	if tables := tables(a); len(tables) != 3 || strings.Contains(fmt.Sprint(tables), "0312") || strings.Contains(fmt.Sprint(tables), "0313") {
		t.Errorf("after the reader has gone there are %s", tables)
	}
	if n := strings.Count(log.String(), "day dropped"); n != 2 {
		t.Errorf("%d days dropped by the log:\n%s", n, log)
	}
	a.CheckWindows()
}

// A reader of another day does not end. The old days are emptied all the same, and
// their tables are dropped when the reader has ended.
func TestRetainWithAReaderOfTheParent(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	end := reader(a, `SELECT count(*) FROM invocations WHERE start_time >= '2026-03-14' AND start_time < '2026-03-15'`)
	s, log := logged(a)
	if err := s.Days.Retain(t.Context(), loadtest.Today); !days.IsBlocked(err) {
		t.Errorf("retention ends with %v", err)
	}
	want := []string{"(invocations_20260312,t,t,t)", "(invocations_20260313,t,f,t)", "(invocations_20260314,t,f,f)"}
	if diff := cmp.Diff(want, tables(a)); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	a.CheckWindows()
	end()
	if err := s.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[2:], tables(a)); diff != "" {
		t.Errorf("days after the reader has gone (-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "day dropped"); n != 2 {
		t.Errorf("%d days dropped by the log:\n%s", n, log)
	}
}

// Only one process at a time drops days.
func TestRetainOnce(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	end := reader(a, strings.NewReplacer("$1", fmt.Sprint(pg.RetentionLock), "$2", "0").Replace(pg.Lock("pg_advisory_xact_lock")))
	s, log := logged(a)
	if err := s.Days.Retain(t.Context(), loadtest.Today); err != nil || len(tables(a)) != 3 {
		t.Errorf("while another process drops days: %v, %s", err, tables(a))
	}
	if !strings.Contains(log.String(), "in another process") {
		t.Errorf("nothing is said of it:\n%s", log)
	}
	end()
}

// Two archives of a database do not keep each other waiting for a lock: the session of one
// holds all of its locks while the other makes the same days, merges and drops them.
func TestLocksOfTwoArchives(t *testing.T) {
	t.Parallel()
	a, _ := aged(t)
	if _, err := pg.MigrateUp(t.Context(), a.URL, pg.InSchema("second")); err != nil {
		t.Fatal(err)
	}
	second, err := pg.Open(t.Context(), a.URL, 2, a.DB.Log, pg.InSchema("second"))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	locks := pg.CommitLock + ";" + pg.FiguresLock
	for class, from := range map[int]int{pg.RetentionLock: 0, pg.MonthLocks: 660, pg.DayLocks: 20100} {
		locks += ";" + strings.NewReplacer("$1", fmt.Sprint(class), "$2", "n").Replace(pg.Lock("pg_advisory_xact_lock")) +
			fmt.Sprintf(" FROM generate_series(%d, %d) AS n", from, from+600)
	}
	tx, err := second.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // the test has ended
	if _, err := tx.Exec(t.Context(), locks); err != nil {
		t.Fatal(err)
	}
	impatient := a.Impatient("1s")
	loadtest.Commit(t, impatient.NewClaim("g"), loadtest.Page(loadtest.Hours(may.AddDate(0, 0, 9), 1), loadtest.Noted, loadtest.Record("tenth", archive.StatusSuccess, may.AddDate(0, 0, 9))))
	if err := a.Days.Merge(t.Context(), time.Time{}, untold); err != nil || len(tables(a)) != 2 {
		t.Errorf("merge: %v, %s", err, tables(a))
	}
	if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil || len(tables(a)) != 1 {
		t.Errorf("retain: %v, %s", err, tables(a))
	}
}

// Before PostgreSQL 14 a table cannot be detached without a lock on the parent.
func TestDropTableAtOnce(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	conn, err := a.DB.Session(t.Context(), map[string]string{"lock_timeout": days.LockPatience})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	yesterday := loadtest.Today.AddDate(0, 0, -1)
	end := reader(a, `SELECT count(*) FROM invocations WHERE start_time >= '2026-03-14' AND start_time < '2026-03-15'`)
	if err := a.Days.DropAtOnce(t.Context(), conn, yesterday); !days.IsBlocked(err) {
		t.Errorf("with a reader of the parent: %v", err)
	}
	if state := tables(a)[1]; state != "(invocations_20260313,t,f,t)" {
		t.Errorf("left is %s", state)
	}
	end()
	if err := a.Days.DropAtOnce(t.Context(), conn, yesterday); err != nil || len(tables(a)) != 2 {
		t.Errorf("%v, %s", err, tables(a))
	}
	a.CheckWindows()
}
