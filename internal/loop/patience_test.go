package loop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
)

// A hasty clock lets the time of pauses pass.
type hasty struct{ *clocktest.Clock }

func (c hasty) Sleep(ctx context.Context, d time.Duration) error {
	if d == archive.NoteEvery || d == archive.ClaimLife/3 { // in the background
		return c.Clock.Sleep(ctx, d)
	}
	c.Advance(d)
	return context.Cause(ctx)
}

func (w *world) patient(o archive.Order) (archive.Summary, error) {
	a := w.archiver()
	a.Clock = hasty{w.clock}
	a.DatabasePatience = func(since time.Time) time.Time { return since.Add(time.Minute) }
	return a.Archive(w.t.Context(), o, new(archive.Progress))
}

// The database may be away at any moment, whether what it was asked for is kept or not; its
// disk may be full; and a standby may take over that lacks the last commits, with an error
// or without. The run goes on, and ends as if nothing had been.
func TestTroubleAnywhere(t *testing.T) {
	t.Parallel()
	order := archive.Order{AskedBy: "test", Range: span(0, 8)}
	c := crash{setup: func(*fakeSource) {}}
	undisturbed := c.world(t)
	c.run(undisturbed)
	for name, trouble := range map[string]func(w *world, at func(f func() error)){
		"the answer is lost": func(_ *world, at func(func() error)) { at(func() error { return errAway }) },
		"a standby takes over": func(w *world, at func(func() error)) {
			back := w.db.remember()
			at(func() error {
				back()
				return nil
			})
		},
		"a standby takes over, with an error": func(w *world, at func(func() error)) {
			back := w.db.remember()
			at(func() error {
				back()
				return errAway
			})
		},
	} {
		for _, kept := range []bool{false, true} {
			for _, force := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, kept %v, by force %v", name, kept, force), func(t *testing.T) {
					t.Parallel()
					order := order
					order.Force = force
					for n, hit := 1, true; hit && !t.Failed(); n++ {
						w := c.world(t)
						var mu sync.Mutex
						passed := 0
						hit = false
						strike := func(f func() error) func(context.Context, string, int) error {
							return func(_ context.Context, op string, _ int) error {
								mu.Lock()
								defer mu.Unlock()
								if passed++; passed != n || op == opServer || op == opEnd { // the run has seen all
									return nil
								}
								hit = true
								return f()
							}
						}
						trouble(w, func(f func() error) {
							if kept {
								w.store.after = strike(f)
							} else {
								w.store.before = strike(f)
							}
						})
						summary, err := w.patient(order)
						if err != nil {
							t.Fatalf("at %d: %v", n, err)
						}
						if summary.Windows < 24 || summary.Done+summary.Elsewhere != summary.Windows || summary.Elsewhere < 0 {
							t.Errorf("at %d: %+v", n, summary.Totals)
						}
						w.db.same(undisturbed.db)
						hit = hit || passed >= n // it was no operation to strike
					}
				})
			}
		}
	}
}

// remember returns a function that sets the database back, as another server.
func (db *database) remember() (back func()) {
	db.mu.Lock()
	defer db.mu.Unlock()
	rows, rejected := maps.Clone(db.rows), maps.Clone(db.rejected)
	windows, walks := cloned(db.windows), cloned(db.walks)
	learned, functions := slices.Clone(db.learned), len(db.functions)
	return func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		db.rows, db.rejected, db.windows, db.walks = rows, rejected, windows, walks
		db.learned, db.functions = learned, db.functions[:functions]
		for _, c := range db.claims {
			*c = claimRow{}
		}
		db.server += "'s standby"
	}
}

func cloned[K comparable, V any](m map[int32]map[K]V) map[int32]map[K]V {
	clone := make(map[int32]map[K]V)
	for id := range m {
		clone[id] = maps.Clone(m[id])
	}
	return clone
}

// A commit that the database refuses for a while is tried again, without another call to
// the source; and a trouble that stays ends the run when its patience is over.
func TestRefusedCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, alpha)
	w.source.records[alpha.URN] = many("a", hour(2), 9)
	full := w.clock.Now().Add(40 * time.Second)
	w.store.before = func(_ context.Context, op string, _ int) error {
		if op == opCommit && w.clock.Now().Before(full) {
			return errDiskFull
		}
		return nil
	}
	if _, err := w.patient(archive.Order{Range: span(0, 4)}); err != nil {
		t.Fatal(err)
	}
	if n := len(w.source.asked()); n != 3 {
		t.Errorf("the source was asked %d times, want 3", n)
	}
	w.all()
	full = w.clock.Now().Add(time.Hour)
	_, err := w.patient(archive.Order{Range: span(4, 8)})
	if !errors.Is(err, errDiskFull) || !strings.Contains(err.Error(), "in trouble for 1m0s") {
		t.Errorf("the run ends with %v", err)
	}
	// What comes after the run has a patience of its own only if the run has not had it.
	a := w.archiver()
	a.Clock, a.DatabasePatience = hasty{w.clock}, func(since time.Time) time.Time { return since.Add(time.Minute) }
	for ended, want := range map[error]time.Duration{err: 0, nil: time.Minute, new(archive.IncompleteError): time.Minute} {
		began := w.clock.Now()
		err := a.Patiently(t.Context(), ended, func() error { return errDiskFull })
		if took := w.clock.Now().Sub(began); !errors.Is(err, errDiskFull) || took != want {
			t.Errorf("after %v, a call ends with %v after %s, want %s", ended, err, took, want)
		}
	}
}

// What every round of a run proves is counted once.
func TestProvedInEveryRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	r := &run{
		Archiver: w.archiver(), progress: new(archive.Progress), unprovenFrom: w.clock.Now().Add(-99 * archive.Hour),
		missedUnproven: []time.Duration{100 * archive.Hour, 200 * archive.Hour},
		learned:        newLearned([]archive.Learned{{What: archive.LearnedAge, Value: int64(150 * archive.Hour / time.Second)}}),
	}
	r.progress.Update(func(p *archive.Totals) { p.Missed = 2 })
	for range 3 {
		if err := r.keepLearned(t.Context()); err != nil || r.progress.Totals().Missed != 1 {
			t.Errorf("%d windows are missed, want 1; %v", r.progress.Totals().Missed, err)
		}
	}
}

// A trouble that stays ends the run when the patience is over, although other commits
// succeed, and however long each round of the run takes.
func TestTroubleThatStays(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct {
		err   error
		op    string
		order archive.Order
	}{
		"commits of one function":      {errDiskFull, opCommit, archive.Order{}},
		"lost commits of one function": {errAway, opCommit, archive.Order{}},
		"the end of each round":        {errAway, opServer, archive.Order{}},
		"by force":                     {errAway, opServer, archive.Order{Force: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 3, alpha, beta)
			w.source.records[alpha.URN] = many("a", hour(2), 9)
			w.source.records[beta.URN] = many("b", hour(2), 90)
			var rounds atomic.Int32
			w.store.before = func(ctx context.Context, op string, nth int) error {
				if op == opSee && rounds.Add(1) > 0 {
					w.clock.Advance(2 * troubleLeft)
				}
				if op == trouble.op && of(ctx).URN != beta.URN && (op != opServer || nth%2 == 0) {
					return trouble.err
				}
				return nil
			}
			trouble.order.Range = span(0, 8)
			began := w.clock.Now()
			if _, err := w.patient(trouble.order); !errors.Is(err, trouble.err) {
				t.Fatalf("the run ends with %v", err)
			}
			if took := w.clock.Now().Sub(began); took > time.Hour || rounds.Load() > 5 {
				t.Errorf("the run took %s in %d rounds", took, rounds.Load())
			}
		})
	}
}

// Two short restarts of the database, with more than the patience between them, do not end a
// run whose rounds reach the same again, although the second one comes earlier in its round.
func TestRestartsOfARunThatRepeats(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]archive.Order{"by force": {Force: true}, "compares": {Compare: true}} {
		for _, second := range []string{opDue, opClaim, opWork, opCommit} {
			if order.Compare && (second == opDue || second == opCommit) {
				continue // it has none
			}
			t.Run(name+", "+second, func(t *testing.T) {
				t.Parallel()
				order := order
				w := newWorld(t, 3, alpha, beta)
				w.source.records[alpha.URN] = many("a", hour(2), 9)
				w.source.records[beta.URN] = many("b", hour(2), 90)
				order.Range = span(0, 8)
				if _, err := w.patient(archive.Order{Range: order.Range}); err != nil {
					t.Fatal(err)
				}
				clear(w.store.nth)
				var first, both atomic.Bool
				w.store.before = func(_ context.Context, op string, nth int) error {
					if op == opSee {
						w.clock.Advance(2 * troubleLeft)
					}
					if op == opServer && nth == 2 && first.CompareAndSwap(false, true) || op == second && first.Load() && both.CompareAndSwap(false, true) {
						return errAway
					}
					return nil
				}
				summary, err := w.patient(order)
				if err != nil || !both.Load() || summary.Compared+summary.Complete < 16 {
					t.Errorf("%v, %+v; the second restart came: %v", err, summary.Totals, both.Load())
				}
			})
		}
	}
}
