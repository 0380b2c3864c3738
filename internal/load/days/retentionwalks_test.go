package days_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/figures"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/pg"
)

// A walk through hours of a day that is dropped starts again. Otherwise it would end
// as complete without its first page.
func TestRetainEndsWalks(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	f := a.Function("f")
	c := a.Claim(f)
	yesterday := loadtest.Today.AddDate(0, 0, -1)
	s := loadtest.Hours(yesterday, 30)
	loadtest.Commit(t, c, loadtest.Page(s, loadtest.Noted, loadtest.Many(10, s, "first")...))
	if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(t.Context(), loadtest.LastPage(s, loadtest.Noted, loadtest.Many(10, s, "second")...)); !errors.Is(err, archive.ErrClaimLost) {
		t.Errorf("the walk goes on: %v", err)
	}
	a.CheckWindows()
	o := archive.Order{AskedBy: "backfill", Range: s}
	w, err := a.Claim(f).Work(t.Context(), o, loadtest.Noted)
	if err != nil || len(w.Open) != 0 || len(w.Windows) != 30 {
		t.Errorf("to do are %d open walks and %d windows, %v", len(w.Open), len(w.Windows), err)
	}
}

// So does a walk that begins while retention waits for running commits.
func TestRetainEndsWalksThatBegin(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	f := a.Function("f")
	c := a.Claim(f)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, 1), loadtest.Noted))
	end := reader(a, pg.SharedCommitLock)
	yesterday := loadtest.Today.AddDate(0, 0, -1)
	s := loadtest.Hours(yesterday, 24)
	a.Exec(`INSERT INTO windows (function_id, window_start, planned) VALUES ($1, $2, true)`, f.ID, yesterday)
	ended := make(chan error, 1)
	go func() { ended <- a.Days.Retain(t.Context(), loadtest.Today) }()
	loadtest.Eventually(t, "retention waits for a commit", func() bool { return waiting(a, "LOCK TABLE commit_lock") > 0 })
	a.Exec(`INSERT INTO walks (function_id, span_from, span_to, source_cursor, seen) VALUES ($1, $2, $3, '500', 500)`,
		f.ID, s.From, s.To)
	end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := c.Renew(t.Context()); !errors.Is(err, archive.ErrClaimLost) {
		t.Errorf("the walk goes on: %v", err)
	}
	a.CheckWindows()
}

// Pages are committed into days that are dropped at the same time, and into other
// days. Windows equal their rows after every commit.
func TestRetainDuringCommits(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	const workers, rounds = 4, 25
	var all sync.WaitGroup
	for i := range workers {
		f := a.Function(fmt.Sprint("f", i))
		s := a.Open(a.URL)
		all.Go(func() {
			c := s.Claim(f)
			for n := range rounds {
				from := loadtest.Today.AddDate(0, 0, n%4-2)
				b := loadtest.Page(loadtest.Hours(from, 24), loadtest.Noted, append(loadtest.Many(50, loadtest.Hours(from, 24), fmt.Sprintf("r%d-%d", i, n)),
					loadtest.Record(fmt.Sprintf("undated%d-%d", i, n/3), archive.StatusDiscard, time.Time{}),
					loadtest.Record(fmt.Sprintf("waits%d-%d", i, n/2), []string{archive.StatusWait, archive.StatusSuccess}[n%2], from))...)
				b.Rejected = []archive.Rejected{{Reason: "none", Payload: []byte(fmt.Sprint(i, n))}}
				switch _, err := c.Commit(t.Context(), b); {
				case errors.Is(err, archive.ErrClaimLost):
					loadtest.Eventually(t, "retention lets go of the claim", func() bool {
						got, err := s.Store.Claim(t.Context(), f)
						if err != nil && !errors.Is(err, archive.ErrClaimed) {
							t.Error(err)
							return true
						}
						if err == nil {
							c = got
						}
						return err == nil
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
		err := a.Days.Retain(t.Context(), loadtest.Today)
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
	loadtest.Eventually(t, "all old days are dropped", retain)
	a.CheckWindows()
	for _, state := range tables(a) {
		if strings.Contains(state, "0312") || strings.Contains(state, "0313") {
			t.Errorf("there is still %s", state)
		}
	}
}

// A day is dropped while records are committed into it and figures are counted. Each
// record is counted once, also if it is gone.
func TestFiguresDuringRetention(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	const rounds = 10
	c, yesterday := a.NewClaim("f"), loadtest.Today.AddDate(0, 0, -1)
	other := a.Open(a.URL)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			if err := figures.Count(t.Context(), other.DB, archive.SystemClock{}, 0); err != nil {
				t.Error(err)
			}
		}
	}()
	for n := range rounds {
		at := loadtest.Noted.Add(time.Duration(n) * time.Minute)
		loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(yesterday, 24), at, loadtest.Timed(fmt.Sprint("r", n), archive.StatusSuccess, yesterday.Add(time.Duration(n)*archive.Hour), time.Second)))
		if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil && !days.IsBlocked(err) {
			t.Fatal(err)
		}
	}
	<-done
	a.CountFigures()
	if n := loadtest.Value[int](a, `SELECT records FROM function_daily WHERE day = '2026-03-13'`); n != rounds {
		t.Errorf("%d records are counted, want %d", n, rounds)
	}
}
