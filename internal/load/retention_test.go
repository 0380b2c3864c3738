package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
)

// tables are the days that the database has, with how they stand.
func (a *archiveDB) tables() []string {
	a.t.Helper()
	return a.rows(`SELECT relname, attached, pending, closed FROM (` + days.SelectTables + `) AS d ORDER BY 1`)
}

// filled is an archive of three days, today the last, with a row of each kind
// in each.
func filled(t *testing.T) (*archiveDB, *claim) {
	t.Helper()
	a := newArchive(t)
	c := a.newClaim("f")
	for d := range 3 {
		from := today.AddDate(0, 0, d-2)
		id := func(kind string) string { return fmt.Sprint(kind, d) }
		b := lastPage(hours(from, 24), noted, append(many(10, hours(from, 24), id("r")),
			record(id("undated"), archive.StatusDiscard, time.Time{}),
			record(id("waits"), archive.StatusWait, from.Add(time.Hour)))...)
		b.Rejected = []archive.Rejected{{Reason: "none", Payload: []byte(id("bad"))}}
		commit(t, c, b)
	}
	return a, c
}

// logged is a store on the archive whose log is kept.
func (a *archiveDB) logged() (*rooms, *bytes.Buffer) {
	a.t.Helper()
	s := openStore(a.t, a.url)
	log := new(bytes.Buffer)
	s.db.Log = slog.New(slog.NewTextHandler(log, nil))
	return s, log
}

// What is older goes with all that belongs to it; what is in flight stays, and
// the day that the time falls on.
func TestRetain(t *testing.T) {
	t.Parallel()
	a, c := filled(t)
	s, log := a.logged()
	older, err := s.Older(t.Context(), today.Add(13*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(older) != 2 || older[0].Day != today.AddDate(0, 0, -2) || older[1].Partition != "invocations_20260313" ||
		older[0].Rows != 11 || older[0].Bytes == 0 {
		t.Errorf("older are %+v", older)
	}
	for range 2 {
		if err := s.Retain(t.Context(), today.Add(13*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for i, o := range older {
		line := fmt.Sprintf("level=INFO msg=\"day dropped\" day=%s rows=11 bytes=%d\n", o.Day.Format(time.DateOnly), o.Bytes)
		if strings.Count(log.String(), line) != 1 {
			t.Errorf("day %d is not in the log once, with %q:\n%s", i, line, log)
		}
	}
	if diff := cmp.Diff([]string{`(invocations_20260314,t,f,f)`}, a.tables()); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	want := []string{
		`(rejected,bad2)`, `(row,undated2)`, `(row,waits0)`, `(row,waits1)`, `(row,waits2)`,
		`("window 2026-03-12",pending,f,1,1,0)`, `("window 2026-03-13",pending,f,1,1,0)`,
	}
	got := a.rows(`
		SELECT 'row', request_id FROM invocations WHERE request_id !~ '^r'
		UNION ALL SELECT 'rejected', payload FROM rejected_records ORDER BY 1, 2`)
	got = append(got, a.rows(`
		SELECT 'window ' || window_start::date, state, planned, records, pending, rejected
		  FROM windows WHERE window_start < $1 ORDER BY 1`, today)...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if n := value[int](a, `SELECT count(*) FROM invocations WHERE request_id ~ '^r'`); n != 10 {
		t.Errorf("%d rows are left", n)
	}
	checkWindows(a)

	// What was in flight settles into the day that is gone, which the next
	// retention drops again.
	r := archive.InFlightRecord{RequestID: "waits0", Window: today.AddDate(0, 0, -2).Add(time.Hour)}
	kept, err := c.Follow(t.Context(), r, []archive.Invocation{record("waits0", archive.StatusSuccess, r.Window)}, nil, later)
	if err != nil || kept.Updated != 1 {
		t.Fatalf("follow: %+v, %v", kept, err)
	}
	checkWindows(a)
	if err := s.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `day=2026-03-12 rows=1 `) {
		t.Errorf("the day made anew is not in the log:\n%s", log)
	}
	checkWindows(a)
}

// What an operator detached is the operator's.
func TestRetainLeavesForeignTables(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	a.exec(`ALTER TABLE invocations_dated DETACH PARTITION invocations_20260312`)
	a.exec(`CREATE TABLE archiver_days.invocations_20261399 ()`)
	if err := a.store.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	if n := value[int](a, `SELECT count(*) FROM invocations_20260312`); n != 10 {
		t.Errorf("%d rows are left of a table that is not attached", n)
	}
}

// leftovers are what a crash between the lines of retention leaves of the day
// before today.
var leftovers = map[string]func(a *archiveDB){
	"emptied": func(a *archiveDB) { a.emptied(today.AddDate(0, 0, -1)) },
	"detach pending": func(a *archiveDB) {
		a.emptied(today.AddDate(0, 0, -1))
		a.detachPending("invocations_20260313")
	},
	"detached": func(a *archiveDB) {
		a.emptied(today.AddDate(0, 0, -1))
		a.exec(`ALTER TABLE invocations_dated DETACH PARTITION invocations_20260313 CONCURRENTLY`)
	},
}

// emptied takes the first step of retention.
func (a *archiveDB) emptied(d time.Time) {
	a.t.Helper()
	conn, err := a.store.db.Session(a.t.Context(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(a.t.Context()))
	r := days.Retention{Days: a.store.Days, Conn: conn, Concurrently: true}
	if err := r.Empty(a.t.Context(), d); err != nil {
		a.t.Fatal(err)
	}
}

// detachPending is a detaching that was given up while it waited for a reader
// of another day.
func (a *archiveDB) detachPending(table string) {
	a.t.Helper()
	reader := a.reader(`SELECT count(*) FROM invocations WHERE start_time >= '2026-03-14' AND start_time < '2026-03-15'`)
	conn, err := a.store.db.Session(a.t.Context(), map[string]string{"lock_timeout": "10ms"})
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(a.t.Context()))
	_, err = conn.Exec(a.t.Context(), `ALTER TABLE archiver_days.invocations_dated DETACH PARTITION archiver_days.`+table+` CONCURRENTLY`)
	if !days.IsBlocked(err) {
		a.t.Fatalf("detach while there is a reader: %v", err)
	}
	reader()
}

// reader is a transaction that has read and goes on, until it is ended.
func (a *archiveDB) reader(sql string) (end func()) {
	a.t.Helper()
	tx, err := a.sql.BeginTx(a.t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := tx.Exec(a.t.Context(), sql); err != nil {
		a.t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(context.WithoutCancel(a.t.Context())); err != nil {
			a.t.Error(err)
		}
	}
}

func TestRetainFinishesLeftovers(t *testing.T) {
	t.Parallel()
	for name, leave := range leftovers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := filled(t)
			leave(a)
			checkWindows(a)
			if err := a.store.Retain(t.Context(), today); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{`(invocations_20260314,t,f,f)`}, a.tables()); diff != "" {
				t.Errorf("days (-want +got):\n%s", diff)
			}
			checkWindows(a)
		})
	}
}

// A write that meets one, in a process that knows the day as it was, is kept.
func TestCommitIntoLeftovers(t *testing.T) {
	t.Parallel()
	all := maps.Clone(leftovers)
	all["dropped"] = func(a *archiveDB) {
		if err := openStore(a.t, a.url).Retain(a.t.Context(), today); err != nil {
			a.t.Fatal(err)
		}
	}
	for name, leave := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := filled(t)
			leave(a)
			yesterday := today.AddDate(0, 0, -1)
			b := lastPage(hours(yesterday, 24), later, many(10, hours(yesterday, 24), "r1")...)
			if kept := commit(t, c, b); kept.Inserted != 10 {
				t.Errorf("kept %+v", kept)
			}
			if n := value[int](a, `SELECT count(*) FROM invocations WHERE request_id ~ '^r1'`); n != 10 {
				t.Errorf("%d rows", n)
			}
			if state := a.tables(); !strings.Contains(strings.Join(state, " "), "(invocations_20260313,t,f,f)") {
				t.Errorf("the day is not attached and open: %s", state)
			}
			checkWindows(a)
		})
	}
}

// waiting is how many sessions with such a statement wait for a lock.
func (a *archiveDB) waiting(statement string) int {
	a.t.Helper()
	return value[int](a, `
		SELECT count(*) FROM pg_stat_activity
		 WHERE datname = current_database() AND query ~ $1 AND cardinality(pg_blocking_pids(pid)) > 0`, statement)
}

// Somebody reads the oldest day and does not end: retention waits, the commits
// into other days do not, not even into one that is made for it; then retention
// gives up, says so, and has dropped the other day.
func TestRetainGivesUpForAReader(t *testing.T) {
	t.Parallel()
	a, c := filled(t)
	// A commit looks for its request ids within maxLife.
	there, made := today.AddDate(0, 0, 7), today.AddDate(0, 0, 8)
	commit(t, c, page(hours(there, 1), noted, many(10, hours(there, 1), "there")...))
	end := a.reader(`SELECT count(*) FROM invocations WHERE start_time >= '2026-03-12' AND start_time < '2026-03-13'`)
	impatient := openStore(t, with(t, a.url, "lock_timeout", "400ms"))
	other := claimOf(t, impatient, a.function("g"))
	s, log := a.logged()
	ended := make(chan error, 1)
	go func() { ended <- s.Retain(t.Context(), today) }()
	eventually(t, "retention waits for the reader", func() bool { return a.waiting("^LOCK TABLE") > 0 })
	for _, d := range []time.Time{there, made} {
		if _, err := other.Commit(t.Context(), lastPage(hours(d, 1), later, many(10, hours(d, 1), d.Format("new-0102"))...)); err != nil {
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
	if n := value[int](a, `SELECT count(*) FROM windows WHERE window_start < '2026-03-13'`); n != 24 {
		t.Errorf("%d windows are left of the day that is read", n)
	}
	checkWindows(a)
	end()
	if err := s.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	if tables := a.tables(); len(tables) != 3 || strings.Contains(fmt.Sprint(tables), "0312") || strings.Contains(fmt.Sprint(tables), "0313") {
		t.Errorf("after the reader has gone there are %s", tables)
	}
	if n := strings.Count(log.String(), "day dropped"); n != 2 {
		t.Errorf("%d days dropped by the log:\n%s", n, log)
	}
	checkWindows(a)
}

// Somebody reads another day and does not end: the old days are emptied all the
// same, and their tables dropped once nobody can know of them.
func TestRetainWithAReaderOfTheParent(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	end := a.reader(`SELECT count(*) FROM invocations WHERE start_time >= '2026-03-14' AND start_time < '2026-03-15'`)
	s, log := a.logged()
	if err := s.Retain(t.Context(), today); !days.IsBlocked(err) {
		t.Errorf("retention ends with %v", err)
	}
	want := []string{"(invocations_20260312,t,t,t)", "(invocations_20260313,t,f,t)", "(invocations_20260314,t,f,f)"}
	if diff := cmp.Diff(want, a.tables()); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	checkWindows(a)
	end()
	if err := s.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[2:], a.tables()); diff != "" {
		t.Errorf("days after the reader has gone (-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "day dropped"); n != 2 {
		t.Errorf("%d days dropped by the log:\n%s", n, log)
	}
}

// One process's retention is enough.
func TestRetainOnce(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	end := a.reader(`SELECT pg_advisory_lock(` + fmt.Sprint(pg.RetentionLock) + `)`)
	s, log := a.logged()
	if err := s.Retain(t.Context(), today); err != nil || len(a.tables()) != 3 {
		t.Errorf("beside another: %v, %s", err, a.tables())
	}
	if !strings.Contains(log.String(), "in another process") {
		t.Errorf("nothing is said of it:\n%s", log)
	}
	end()
}

// A walk through hours that retention drops meanwhile begins again: it would
// end as complete without its first page.
func TestRetainEndsWalks(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	yesterday := today.AddDate(0, 0, -1)
	s := hours(yesterday, 30)
	commit(t, c, page(s, noted, many(10, s, "first")...))
	if err := a.store.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(t.Context(), lastPage(s, noted, many(10, s, "second")...)); !errors.Is(err, archive.ErrClaimLost) {
		t.Errorf("the walk goes on: %v", err)
	}
	checkWindows(a)
	o := archive.Order{AskedBy: "backfill", Range: s}
	w, err := a.claim(c.function).Work(t.Context(), o, noted)
	if err != nil || len(w.Open) != 0 || len(w.Windows) != 30 {
		t.Errorf("to do are %d open walks and %d windows, %v", len(w.Open), len(w.Windows), err)
	}
}

// So does one that begins while retention waits for the commits under way.
func TestRetainEndsWalksThatBegin(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	commit(t, c, lastPage(hours(today, 1), noted))
	end := a.reader(`SELECT pg_advisory_xact_lock_shared(` + fmt.Sprint(pg.CommitLock) + `)`)
	yesterday := today.AddDate(0, 0, -1)
	s := hours(yesterday, 24)
	a.exec(`INSERT INTO windows (function_id, window_start, planned) VALUES ($1, $2, true)`, c.function.ID, yesterday)
	ended := make(chan error, 1)
	go func() { ended <- a.store.Retain(t.Context(), today) }()
	eventually(t, "retention waits for a commit", func() bool { return a.waiting("pg_advisory_xact_lock") > 0 })
	a.exec(`INSERT INTO walks (function_id, span_from, span_to, source_cursor, seen) VALUES ($1, $2, $3, '500', 500)`,
		c.function.ID, s.From, s.To)
	end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := c.Renew(t.Context()); !errors.Is(err, archive.ErrClaimLost) {
		t.Errorf("the walk goes on: %v", err)
	}
	checkWindows(a)
}

// Pages come into the days that are dropped at the same time, and into others:
// windows count what is there, at the end as at every commit.
func TestRetainBesideCommits(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const workers, rounds = 4, 25
	var all sync.WaitGroup
	for i := range workers {
		f := a.function(fmt.Sprint("f", i))
		s := openStore(t, a.url)
		all.Go(func() {
			c := claimOf(t, s, f)
			for n := range rounds {
				from := today.AddDate(0, 0, n%4-2)
				b := page(hours(from, 24), noted, append(many(50, hours(from, 24), fmt.Sprintf("r%d-%d", i, n)),
					record(fmt.Sprintf("undated%d-%d", i, n/3), archive.StatusDiscard, time.Time{}),
					record(fmt.Sprintf("waits%d-%d", i, n/2), []string{archive.StatusWait, archive.StatusSuccess}[n%2], from))...)
				b.Rejected = []archive.Rejected{{Reason: "none", Payload: []byte(fmt.Sprint(i, n))}}
				switch _, err := c.Commit(t.Context(), b); {
				case errors.Is(err, archive.ErrClaimLost):
					eventually(t, "retention lets go of the claim", func() bool {
						got, err := s.Claim(t.Context(), f)
						if err != nil && !errors.Is(err, archive.ErrClaimed) {
							t.Error(err)
							return true
						}
						again, free := got.(*claim)
						if free {
							c = again
						}
						return free
					})
				case err != nil:
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		all.Wait()
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if err := a.store.Retain(t.Context(), today); err != nil && !days.IsBlocked(err) {
			t.Error(err)
		}
	}
	checkWindows(a)
	for _, state := range a.tables() {
		if strings.Contains(state, "0312") || strings.Contains(state, "0313") {
			t.Errorf("there is still %s", state)
		}
	}
}

// What comes before PostgreSQL 14, which cannot detach without a lock.
func TestDropTableAtOnce(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	conn, err := a.store.db.Session(t.Context(), map[string]string{"lock_timeout": days.LockPatience})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	r := days.Retention{Days: a.store.Days, Conn: conn}
	yesterday := today.AddDate(0, 0, -1)
	end := a.reader(`SELECT count(*) FROM invocations WHERE start_time >= '2026-03-14' AND start_time < '2026-03-15'`)
	if err := r.Drop(t.Context(), yesterday); !days.IsBlocked(err) {
		t.Errorf("with a reader of the parent: %v", err)
	}
	if state := a.tables()[1]; state != "(invocations_20260313,t,f,t)" {
		t.Errorf("left is %s", state)
	}
	end()
	if err := r.Drop(t.Context(), yesterday); err != nil || len(a.tables()) != 2 {
		t.Errorf("%v, %s", err, a.tables())
	}
	checkWindows(a)
}
