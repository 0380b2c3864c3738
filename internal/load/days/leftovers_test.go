package days_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/load/days"
	"archiver/internal/load/loadtest"
)

// leftovers are the states in which a crash of retention can leave yesterday.
var leftovers = map[string]func(a *loadtest.Archive){
	"emptied": func(a *loadtest.Archive) { emptied(a, loadtest.Today.AddDate(0, 0, -1)) },
	"detach pending": func(a *loadtest.Archive) {
		emptied(a, loadtest.Today.AddDate(0, 0, -1))
		detachPending(a, "invocations_20260313")
	},
	"detached": func(a *loadtest.Archive) {
		emptied(a, loadtest.Today.AddDate(0, 0, -1))
		a.Exec(`ALTER TABLE invocations_dated DETACH PARTITION invocations_20260313 CONCURRENTLY`)
	},
}

// emptied takes only the first step of retention.
func emptied(a *loadtest.Archive, d time.Time) {
	a.T.Helper()
	conn, err := a.DB.Session(a.T.Context(), nil)
	if err != nil {
		a.T.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(a.T.Context()))
	if err := a.Days.Empty(a.T.Context(), conn, d); err != nil {
		a.T.Fatal(err)
	}
}

// detachPending leaves a DETACH pending: it times out while it waits for a reader of
// another day.
func detachPending(a *loadtest.Archive, table string) {
	a.T.Helper()
	reader := reader(a, `SELECT count(*) FROM invocations WHERE start_time >= '2026-03-14' AND start_time < '2026-03-15'`)
	conn, err := a.DB.Session(a.T.Context(), map[string]string{"lock_timeout": "10ms"})
	if err != nil {
		a.T.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(a.T.Context()))
	_, err = conn.Exec(a.T.Context(), `ALTER TABLE archiver_days.invocations_dated DETACH PARTITION archiver_days.`+table+` CONCURRENTLY`)
	if !days.IsBlocked(err) {
		a.T.Fatalf("detach while there is a reader: %v", err)
	}
	reader()
}

// reader opens a transaction that has run the statement, and stays open until end.
func reader(a *loadtest.Archive, sql string) (end func()) {
	a.T.Helper()
	tx, err := a.SQL.BeginTx(a.T.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		a.T.Fatal(err)
	}
	if _, err := tx.Exec(a.T.Context(), sql); err != nil {
		a.T.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(context.WithoutCancel(a.T.Context())); err != nil {
			a.T.Error(err)
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
			a.CheckWindows()
			if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{`(invocations_20260314,t,f,f)`}, tables(a)); diff != "" {
				t.Errorf("days (-want +got):\n%s", diff)
			}
			a.CheckWindows()
		})
	}
}

// A commit into such a day succeeds, also in a process that remembers the day as it
// was before.
func TestCommitIntoLeftovers(t *testing.T) {
	t.Parallel()
	all := maps.Clone(leftovers)
	all["dropped"] = func(a *loadtest.Archive) {
		if err := a.Open(a.URL).Days.Retain(a.T.Context(), loadtest.Today); err != nil {
			a.T.Fatal(err)
		}
	}
	for name, leave := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := filled(t)
			leave(a)
			yesterday := loadtest.Today.AddDate(0, 0, -1)
			b := loadtest.LastPage(loadtest.Hours(yesterday, 24), loadtest.Later, loadtest.Many(10, loadtest.Hours(yesterday, 24), "r1")...)
			if kept := loadtest.Commit(t, c, b); kept.Inserted != 10 {
				t.Errorf("kept %+v", kept)
			}
			if n := loadtest.Value[int](a, `SELECT count(*) FROM invocations WHERE request_id ~ '^r1'`); n != 10 {
				t.Errorf("%d rows", n)
			}
			if state := tables(a); !strings.Contains(strings.Join(state, " "), "(invocations_20260313,t,f,f)") {
				t.Errorf("the day is not attached and open: %s", state)
			}
			a.CheckWindows()
		})
	}
}
