package load

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
)

// everything is all that a commit may write, as it is.
const everything = `
	SELECT 'invocation', i::text FROM invocations i
	UNION ALL SELECT 'window', w::text FROM windows w
	UNION ALL SELECT 'walk', w::text FROM walks w
	UNION ALL SELECT 'rejected', r::text FROM rejected_records r
	UNION ALL SELECT 'figures due', d::text FROM hourly_figures_due d
	ORDER BY 1, 2`

// changing is a page that inserts, changes and moves rows, sets one aside and
// moves its walk on; commits before it have prepared the rows to change.
func changing(t *testing.T, c *claim) archive.Batch {
	t.Helper()
	s := hours(today.Add(22*archive.Hour), 4)
	commit(t, c, page(s, noted, record("waits", archive.StatusWait, s.From), record("fails", archive.StatusFail, s.From)))
	b := page(s, later, record("new", archive.StatusSuccess, s.From),
		record("waits", archive.StatusSuccess, s.From), record("fails", archive.StatusSuccess, today.AddDate(0, 0, 1)))
	b.Rejected = []archive.Rejected{{Reason: "none", Payload: []byte("1")}}
	b.Walk.Seen, b.Walk.Cursor = 5, "further"
	return b
}

// A commit that fails, wherever it does, leaves neither rows nor checkpoint,
// and can be made again.
func TestCommitFailsLate(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.Exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`)
	for _, test := range []struct{ table, when string }{
		{"walks", "BEFORE UPDATE"},
		{"walks", "BEFORE DELETE"},
		{"windows", "BEFORE INSERT OR UPDATE"},
		{"rejected_records", "BEFORE INSERT"},
		{"hourly_figures_due", "BEFORE INSERT"},
		{"invocations_20260315", "BEFORE INSERT"},
		{"invocations_in_flight", "BEFORE DELETE"},
	} {
		t.Run(test.table+" "+test.when, func(t *testing.T) {
			a := a.in(t)
			a.Exec(`TRUNCATE invocations, windows, walks, rejected_records`)
			c := a.newClaim("f")
			t.Cleanup(func() {
				if err := c.Release(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			})
			b := changing(t, c)
			if test.when == "BEFORE DELETE" && test.table == "walks" {
				b.Outcome = &archive.Outcome{State: archive.StateComplete}
			}
			if err := a.Days.Ensure(t.Context(), b.Invocations); err != nil {
				t.Fatal(err)
			}
			before := a.Rows(everything)
			a.Exec(`CREATE TRIGGER refuse ` + test.when + ` ON ` + test.table + ` FOR EACH ROW EXECUTE FUNCTION refuse()`)
			kept, err := c.Commit(t.Context(), b)
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Message != "refused" || kept != (archive.Kept{}) {
				t.Fatalf("kept %+v, %v", kept, err)
			}
			if diff := cmp.Diff(before, a.Rows(everything)); diff != "" {
				t.Errorf("the commit left (-before +after):\n%s", diff)
			}
			a.Exec(`DROP TRIGGER refuse ON ` + test.table)
			if kept, want := commit(t, c, b), (archive.Kept{Inserted: 1, Updated: 2, Rejected: 1}); kept != want {
				t.Errorf("then kept %+v, want %+v", kept, want)
			}
			a.CheckWindows()
		})
	}
}

// So does one whose session ends before its last line. One whose context ends
// leaves all or nothing: its COMMIT may be on its way already.
func TestCommitIsCutOff(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(a *archiveDB, cancel context.CancelFunc){
		"cancelled": func(_ *archiveDB, cancel context.CancelFunc) { cancel() },
		"killed": func(a *archiveDB, _ context.CancelFunc) {
			a.Exec(`
				SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				 WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			c := a.newClaim("f")
			b := changing(t, c)
			if err := a.Days.Ensure(t.Context(), b.Invocations); err != nil {
				t.Fatal(err)
			}
			before := a.Rows(everything)
			// The walk is what a commit writes last: a lock of the table stops it
			// there.
			holder, err := a.SQL.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := holder.Exec(t.Context(), `LOCK TABLE walks IN EXCLUSIVE MODE`); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				_, err := c.Commit(ctx, b)
				ended <- err
			}()
			eventually(t, "the commit waits for the walks", a.blocked)
			cut(a, cancel)
			if err := <-ended; err == nil {
				t.Error("the commit says that it is made")
			}
			if err := holder.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the commit has ended", func() bool {
				return value[int64](a, `
					SELECT count(*) FROM pg_stat_activity
					 WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL`) == 0
			})
			want := archive.Kept{Inserted: 1, Updated: 2, Rejected: 1}
			switch diff := cmp.Diff(before, a.Rows(everything)); {
			case diff != "" && name == "cancelled":
				want = archive.Kept{Unchanged: 3}
			case diff != "":
				t.Errorf("the commit left (-before +after):\n%s", diff)
			}
			if kept := commit(t, c, b); kept != want {
				t.Errorf("then kept %+v, want %+v", kept, want)
			}
			a.CheckWindows()
		})
	}
}
