package load

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
)

// A walk through hours of a day that is dropped starts again. Otherwise it would end
// as complete without its first page.
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

// So does a walk that begins while retention waits for running commits.
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

// Pages are committed into days that are dropped at the same time, and into other
// days. Windows equal their rows after every commit.
func TestRetainDuringCommits(t *testing.T) {
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
	retain := func() bool {
		err := a.store.Retain(t.Context(), today)
		if err != nil && !days.IsBlocked(err) {
			t.Error(err)
		}
		return err == nil
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		retain()
	}
	// A vacuum may still hold a day. The next run drops the day.
	eventually(t, "all old days are dropped", retain)
	checkWindows(a)
	for _, state := range a.tables() {
		if strings.Contains(state, "0312") || strings.Contains(state, "0313") {
			t.Errorf("there is still %s", state)
		}
	}
}
