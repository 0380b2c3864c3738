package load

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// with adds a setting of sessions to a database address.
func with(t *testing.T, address, setting, to string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(setting, to)
	u.RawQuery = q.Encode()
	return u.String()
}

// Two processes with four workers each need the same days at the same time. Each day is
// created once.
func TestPartitionsAreMadeOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	stores := []*rooms{a.store, openStore(t, a.url)}
	const workers, days = 8, 6
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range workers {
		c := claimOf(t, stores[i%2], a.function(fmt.Sprintf("f%d", i)))
		all.Go(func() {
			<-begin
			for d := range days {
				// Half of the workers take the days in order, the others in
				// reverse order.
				if i%4 >= 2 {
					d = days - 1 - d
				}
				from := today.AddDate(0, 0, d)
				_, err := c.Commit(t.Context(), lastPage(hours(from, 24), noted, many(24, hours(from, 48), fmt.Sprintf("r%d-%d", i, d))...))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	close(begin)
	all.Wait()
	if n, want := value[int](a, `SELECT count(*) FROM invocations`), workers*days*24; n != want {
		t.Errorf("%d rows, want %d", n, want)
	}
	if n, want := value[int](a, `
		SELECT count(*) FROM pg_class WHERE relname ~ '^invocations_\d{8}$'`), days+1; n != want {
		t.Errorf("%d days, want %d", n, want)
	}
	checkWindows(a)
}

// If an operator dropped a day, the write that misses it creates it again.
func TestPartitionDroppedUnderfoot(t *testing.T) {
	t.Parallel()
	for _, how := range []string{
		`DROP TABLE invocations_20260314`,
		`ALTER TABLE invocations_dated DETACH PARTITION invocations_20260314`,
	} {
		a := newArchive(t)
		c := a.newClaim("f")
		s := hours(today, 1)
		commit(t, c, page(s, noted, record("a", archive.StatusSuccess, today)))
		a.exec(how)
		if kept := commit(t, c, page(s, later, record("b", archive.StatusSuccess, today))); kept.Inserted != 1 {
			t.Errorf("after %s: %+v", how, kept)
		}
		if n := value[int](a, `SELECT count(*) FROM invocations WHERE request_id = 'b'`); n != 1 {
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
			a := newArchive(t)
			commit(t, a.newClaim("f"), page(hours(today, 1), noted,
				record("a", archive.StatusSuccess, today), record("b", archive.StatusDiscard, time.Time{})))
			open, err := a.sql.Begin(t.Context())
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
			impatient := openStore(t, with(t, a.url, "lock_timeout", "1s"))
			tomorrow := today.AddDate(0, 0, 1)
			_, err = claimOf(t, impatient, a.function("g")).Commit(t.Context(),
				page(hours(tomorrow, 1), noted, record("c", archive.StatusSuccess, tomorrow)))
			if err != nil {
				t.Errorf("during a %s: %v", name, err)
			}
		})
	}
}

// The partition of each row, for a page with rows of every kind.
func TestPartitionsOfAPage(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	s := hours(today, 24)
	commit(t, c, lastPage(s, noted,
		record("a", archive.StatusWait, time.Time{}), record("b", archive.StatusRunning, today),
		record("c", archive.StatusDiscard, time.Time{}), record("d", archive.StatusSuccess, today),
		record("e", archive.StatusFail, today.Add(24*time.Hour-time.Microsecond)),
		record("f", archive.StatusFail, today.Add(24*time.Hour)), record("g", "HIBERNATING", today)))
	want := strings.Fields(`(a,invocations_in_flight) (b,invocations_in_flight) (c,invocations_undated)
		(d,invocations_20260314) (e,invocations_20260314) (f,invocations_20260315) (g,invocations_20260314)`)
	if diff := cmp.Diff(want, a.rows(`SELECT request_id, tableoid::regclass FROM invocations ORDER BY 1`)); diff != "" {
		t.Error(diff)
	}
}

// The days of a run exist before its first page.
func TestMakeAhead(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	stores := []*rooms{a.store, openStore(t, a.url)}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if err := stores[i%2].MakeAhead(t.Context(), today.Add(23*time.Hour)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff([]string{"(invocations_20260314,t,f,f)", "(invocations_20260315,t,f,f)"}, a.tables()); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
}
