package load

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/load/days"
)

// leftovers are the states in which a crash of retention can leave yesterday.
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

// emptied takes only the first step of retention.
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

// detachPending leaves a DETACH pending: it times out while it waits for a reader of
// another day.
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

// reader opens a transaction that has run the statement, and stays open until end.
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

// A commit into such a day succeeds, also in a process that remembers the day as it
// was before.
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
