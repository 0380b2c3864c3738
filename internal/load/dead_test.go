package load

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// The next run ends a run whose process has died, and none whose process is alive. Status
// lists it however large the gaps between the numbers are.
func TestRunsOfTheDead(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	ctx := t.Context()
	begin := func(s *Store) archive.RunID {
		t.Helper()
		id, err := s.BeginRun(ctx, archive.Order{AskedBy: "backfill", Range: span(0, 2)}, noted)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	dying := openStore(t, a.URL)
	dead := begin(dying)
	if err := dying.NoteRun(ctx, dead, archive.Noted{Totals: archive.Totals{Windows: 2, Done: 1, Inserted: 7}}, later); err != nil {
		t.Fatal(err)
	}
	a.Exec(`ALTER SEQUENCE runs_run_id_seq RESTART WITH 1000`)
	alive := begin(a.store)
	for askedBy, want := range map[string]time.Time{"backfill": noted, "run": {}} {
		if began, err := a.store.UnderWay(ctx, askedBy); err != nil || !began.Equal(want) {
			t.Errorf("%s is under way since %v: %v", askedBy, began, err)
		}
	}
	if got := value[string](a, `SELECT string_agg(outcome, ' ') FROM runs`); got != "running running" {
		t.Fatalf("the runs are %s", got)
	}
	// Runs of before there were owners: one by a clock that was ahead, one that may be alive.
	for _, seen := range []time.Time{noted.AddDate(1, 0, 0), noted} {
		a.Exec(`INSERT INTO runs (asked_by, range_from, range_to, started_at, seen_at) VALUES ('old', $1, $1, $1, $1)`, seen)
	}
	dying.db.Close()
	eventually(t, "the session of the dead is gone", func() bool {
		return value[int](a, `SELECT count(*) FROM pg_locks 
			 WHERE locktype = 'advisory' AND granted AND objsubid = 2
			   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
	})
	begin(a.store)
	if got := a.Rows(`SELECT outcome FROM runs WHERE asked_by = 'old' ORDER BY run_id`); !slices.Equal(got, []string{"(failed)", "(running)"}) {
		t.Errorf("the runs without owners are %v", got)
	}
	a.Exec(`DELETE FROM runs WHERE asked_by = 'old'`)
	got := value[string](a, `
		SELECT concat_ws(' ', outcome, finished_at = seen_at, windows, records, error)
		  FROM runs WHERE run_id = $1`, dead)
	if want := "failed t 2 7 the process of the run died, or lost the database; last progress at "; !strings.HasPrefix(got, want) || !strings.Contains(got, "PostgreSQL was started at") {
		t.Errorf("the dead run is %q", got)
	}
	if got := value[string](a, `SELECT outcome FROM runs WHERE run_id = $1`, alive); got != "running" {
		t.Errorf("the run of the living is %s", got)
	}
	err := a.Read.Snapshot(ctx, func(s *read.Snapshot) error {
		runs, err := s.Runs(ctx, 5, noted)
		if len(runs) != 3 {
			t.Errorf("%d runs are listed", len(runs))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// A run of this process that is not under way could not be ended.
	a.store.openRuns[alive].ended = true
	begin(a.store)
	if got := value[string](a, `SELECT error FROM runs WHERE run_id = $1`, alive); !strings.HasPrefix(got, "the database could not be reached") {
		t.Errorf("the run that could not be ended: %q", got)
	}
}

// A standby that took over may lack the row of a run, or have another run under its number.
func TestLostRun(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	ctx := t.Context()
	order := archive.Order{AskedBy: "backfill", Range: span(0, 2)}
	for _, note := range []bool{true, false} {
		id, err := a.store.BeginRun(ctx, order, noted)
		if err != nil {
			t.Fatal(err)
		}
		a.Exec(`UPDATE runs SET asked_by = 'another', started_at = $2, owner = NULL WHERE run_id = $1`, id, later)
		if note {
			if err := a.store.NoteRun(ctx, id, archive.Noted{Totals: archive.Totals{Windows: 2, Done: 1}}, later); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.store.EndRun(ctx, id, archive.Summary{Totals: archive.Totals{Windows: 2, Done: 2}}, nil, later); err != nil {
			t.Fatal(err)
		}
	}
	got := a.Rows(`SELECT asked_by, started_at = $1, outcome, windows FROM runs ORDER BY asked_by, run_id`, noted)
	want := []string{"(another,f,running,)", "(another,f,running,)", "(backfill,t,complete,2)", "(backfill,t,complete,2)"}
	if !slices.Equal(got, want) {
		t.Errorf("the runs are %v", got)
	}
}

// While a lost run gets its new row, no other run begins: it would end that row.
func TestLostRunIsNotEnded(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	ctx := t.Context()
	id, err := a.store.BeginRun(ctx, archive.Order{AskedBy: "run", Range: span(0, 2)}, noted)
	if err != nil {
		t.Fatal(err)
	}
	a.Exec(`DELETE FROM runs`)
	a.Exec(`
		CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_advisory_xact_lock(9); RETURN NEW; END $$;
		CREATE TRIGGER wait BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION wait()`)
	noting := make(chan error, 1)
	err = pgx.BeginFunc(ctx, a.SQL, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(9)`); err != nil {
			return err
		}
		go func() { noting <- a.store.NoteRun(ctx, id, archive.Noted{}, later) }()
		eventually(t, "the row is being inserted", a.blocked)
		if a.store.runsMu.TryLock() {
			a.store.runsMu.Unlock()
			t.Error("another run can begin")
		}
		return nil
	})
	if err := errors.Join(err, <-noting); err != nil {
		t.Fatal(err)
	}
}

// After a failover, a claim may have the epoch of one that was lost.
func TestReleaseOfALostClaim(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	lost := a.newClaim("f")
	a.Exec(`UPDATE claims SET owner = owner + 1`)
	if err := lost.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := value[int](a, `SELECT count(*) FROM claims WHERE expires_at > clock_timestamp()`); n != 1 {
		t.Error("the claim of another process is released")
	}
}

// No other role can take the lock of the commits: archiving would stand still.
func TestCommitLockIsOurs(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	ctx := t.Context()
	conn, err := a.SQL.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The key that the lock had when it was an advisory lock.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(x'61726368636f6d6d'::bigint)`); err != nil {
			return err
		}
		commit(t, a.newClaim("f"), lastPage(span(0, 1), noted, record("r", archive.StatusSuccess, hour(0))))
		_, err := tx.Exec(ctx, `SET LOCAL ROLE archiver_reader`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"ACCESS SHARE", "EXCLUSIVE"} {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL ROLE archiver_reader`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `LOCK TABLE archiver_internal.commit_lock IN `+mode+` MODE`)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}
