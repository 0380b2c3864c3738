package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/pg"
)

// After any changes to windows by concurrent writers, the totals are what a count
// of the windows gives. No writer gets a deadlock.
func TestTotals(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const workers, functions, rounds, steps = 4, 3, 6, 15
	known := make([]archive.Known, workers*functions)
	for i := range known {
		known[i] = a.Function(fmt.Sprint("f", i))
	}
	for round := range rounds {
		var all sync.WaitGroup
		for w := range workers {
			r := rand.New(rand.NewPCG(uint64(round), uint64(w)))
			mine := known[w*functions : (w+1)*functions]
			all.Go(func() {
				for step := range steps {
					f := mine[r.IntN(len(mine))]
					if err := disturb(t, a, r, f, known, noted.Add(time.Duration(step)*time.Minute)); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				}
			})
		}
		all.Wait()
		a.CheckTotals()
	}
	a.Exec(`TRUNCATE windows`)
	a.CheckTotals()
}

// disturb does one thing that writes windows of the function, and of others
// that give the same records.
func disturb(t *testing.T, a *archiveDB, r *rand.Rand, f archive.Known, known []archive.Known, at time.Time) error {
	ctx := t.Context()
	got, err := a.store.Claim(ctx, f)
	if err != nil {
		return err
	}
	c := got.(*claim)
	from := r.IntN(40)
	s := span(from, from+1+r.IntN(6))
	var what string
	switch n := r.IntN(18); n {
	case 0:
		what = "Fail"
		_, err = c.Fail(ctx, s, archive.Refusal{Reason: "down", Smallest: s, Stuck: r.IntN(2) == 0}, at)
	case 16:
		what = "Prove"
		_, err = a.store.Prove(ctx, loadtest.Source, time.Duration(140+r.IntN(40))*time.Hour)
	case 17:
		what = "Acknowledge"
		_, err = a.store.Acknowledge(ctx, s.To)
	case 1:
		what, err = "Gone", c.Gone(ctx, []archive.Span{s}, at)
	case 2:
		what, err = "Differs", c.Differs(ctx, s.From, &archive.ShortError{Saw: 1, Count: 2})
	case 3:
		what, err = "Recount", c.Recount(ctx, s)
	case 4:
		what = "Follow"
		record := archive.InFlightRecord{RequestID: fmt.Sprintf("r-%024d", from), Window: s.From}
		_, err = c.Follow(ctx, record, many(40, span(0, 40), "r")[from:from+1], nil, at)
	case 5:
		what, err = "Verified", c.Verified(ctx, s, at)
	case 6:
		what = "Rechecked"
		_, err = c.Rechecked(ctx, []time.Time{s.From}, at)
	case 7:
		what = "Plan"
		var due []archive.Due
		for _, k := range known {
			due = append(due, archive.Due{Known: k, Windows: 1})
		}
		err = a.store.Plan(ctx, due, archive.Order{Range: s})
	case 8:
		what = "DELETE"
		err = writeAs(ctx, a, f, `DELETE FROM windows WHERE function_id = $1 AND window_start = $2`, s.From)
	case 9:
		what = "DELETE of what comes first"
		err = writeAs(ctx, a, f, `
			DELETE FROM windows w
			 WHERE function_id = $1 AND window_start = (
				SELECT min(window_start) FROM windows WHERE function_id = $1 AND state = 'complete')`)
	case 10:
		what = "UPDATE of what comes last"
		err = writeAs(ctx, a, f, `
			UPDATE windows w SET state = 'pending', planned = false
			 WHERE function_id = $1 AND window_start = (
				SELECT max(window_start) FROM windows WHERE function_id = $1 AND planned)`)
	default:
		what = "Commit"
		shared := many(40, span(0, 40), "r")
		for i := range shared {
			shared[i].Status = []string{archive.StatusWait, archive.StatusSuccess, archive.StatusFail}[r.IntN(3)]
		}
		b := page(s, at, shared[from:min(40, from+10)]...)
		b.Rejected = []archive.Rejected{{Reason: "none", Payload: []byte(fmt.Sprint(r.IntN(9)))}}
		if n < 15 {
			b.Outcome = &archive.Outcome{State: outcomes[r.IntN(len(outcomes))], Expired: make(map[time.Time]archive.Expired)}
			for h := s.From; h.Before(s.To) && r.IntN(2) == 0; h = h.Add(archive.Hour) {
				b.Outcome.Expired[h] = archive.Expired{Missed: r.IntN(2) == 0, Unproven: r.IntN(2) == 0, Bare: r.IntN(2) == 0}
			}
		}
		_, err = c.Commit(ctx, b)
	}
	if err = errors.Join(err, c.Release(ctx)); err != nil {
		return fmt.Errorf("%s of %s %s: %w", what, f.Name, s, err)
	}
	return nil
}

// writeAs writes windows of the function as all writers do: locked.
func writeAs(ctx context.Context, a *archiveDB, f archive.Known, statement string, args ...any) error {
	return pgx.BeginFunc(ctx, a.SQL, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pg.LockWindows, []int32{f.ID}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, statement, append([]any{f.ID}, args...)...)
		return err
	})
}

// Writers of windows lock them by function first. They do not deadlock, and writers
// of other functions do not wait.
func TestWritersOfSeveralFunctions(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	first, second, third := a.newClaim("first"), a.newClaim("second"), a.newClaim("third")
	commit(t, first, lastPage(span(0, 1), noted, record("r", archive.StatusWait, hour(0))))
	holder, err := a.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), pg.LockWindows, []int32{first.function.ID}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 3)
	go func() {
		_, err := second.Commit(t.Context(), lastPage(span(0, 1), later, record("r", archive.StatusSuccess, hour(0))))
		ended <- err
	}()
	go func() {
		due := []archive.Due{{Known: first.function, Windows: 1}, {Known: second.function, Windows: 1}}
		ended <- a.store.Plan(t.Context(), due, archive.Order{Range: span(0, 2)})
	}()
	go func() {
		ended <- first.Verified(t.Context(), span(0, 1), later)
	}()
	eventually(t, "all wait", func() bool {
		return value[int](a, `
			SELECT count(*) FROM pg_stat_activity
			 WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 3
	})
	// None of those who wait has windows that the holder wants.
	if _, err := holder.Exec(t.Context(), `UPDATE windows SET attempts = 2 WHERE function_id = $1`, first.function.ID); err != nil {
		t.Error(err)
	}
	commit(t, third, lastPage(span(0, 1), noted, record("s", archive.StatusSuccess, hour(0))))
	if err := holder.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	a.CheckWindows()
}
