package loop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
)

// Windows that have not settled are neither read nor kept quiet about.
func TestNotDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta) // at 06:00 of the next day
	w.source.records[alpha.URN] = many("a", hour(28), 3)
	w.clock.Advance(10*time.Minute - 1)
	summary, err := w.archive(span(28, 32))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.NotDue != 2*3 || incomplete.Short+incomplete.Failed != 0 {
		t.Fatalf("the run ended with %v", err)
	}
	if got, want := err.Error(), "6 windows have not settled yet, run again later"; got != want {
		t.Errorf("the run ended with %q, want %q", got, want)
	}
	w.states(alpha, span(28, 32), archive.StateComplete, "", "", "")
	if summary.NotDue != 6 || summary.Windows != 2 || summary.Complete != 2 || summary.Range != span(28, 32) {
		t.Errorf("the summary is %+v", summary)
	}
	if got, want := w.db.runs[0].order.Range, span(28, 29); got != want {
		t.Errorf("the run is noted for %s, want %s", got, want)
	}
	for _, a := range w.source.asked() {
		if a.Span != padded(span(28, 29)) {
			t.Errorf("%s was asked for", a.Span)
		}
	}

	w.clock.Advance(1)
	if summary, _ = w.archive(span(28, 32)); summary.Complete != 2 || summary.NotDue != 4 {
		t.Errorf("a nanosecond later, the summary is %+v", summary)
	}
	w.states(alpha, span(28, 32), archive.StateComplete, archive.StateComplete, "", "")
}

// A run makes no call for a range in the future.
func TestNothingDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	summary, err := w.archive(span(40, 42))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.NotDue != 2 || len(w.source.asked()) != 0 || summary.Windows != 0 {
		t.Errorf("the run ended with %v, %+v", err, summary)
	}
}

// A run does not read complete windows again, except with Force.
func TestCompleteWindowsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	w.complete(span(0, 6))
	if again := w.complete(span(0, 6)); again.Calls != 0 || again.Windows != 0 {
		t.Errorf("the second run made %d calls, %+v", again.Calls, again.Totals)
	}
	forced, err := w.archiver().Archive(t.Context(), archive.Order{Range: span(0, 6), Force: true}, new(archive.Progress))
	if err != nil || forced.Calls != 3 || forced.Unchanged != 25 || forced.Inserted != 0 {
		t.Errorf("by force: %v, %d calls, %+v", err, forced.Calls, forced.Totals)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	a := w.archiver()
	a.Match = func(f archive.Function) bool { return f == beta }
	summary, err := a.Archive(t.Context(), archive.Order{Range: span(28, 32)}, new(archive.Progress))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || summary.Matched != 1 || summary.Functions != 1 || summary.NotDue != 3 {
		t.Errorf("the run ended with %v, %+v", err, summary)
	}
	w.states(alpha, span(28, 29), "")
	w.states(beta, span(28, 29), archive.StateComplete)
	if len(w.db.functions) != 2 {
		t.Error("a function that does not match is not noted")
	}
	a.Match = func(archive.Function) bool { return false }
	_, err = a.Archive(t.Context(), archive.Order{Range: span(0, 2)}, new(archive.Progress))
	if noted := w.db.runs[len(w.db.runs)-1].err; !errors.Is(err, archive.ErrNoFunction) || archive.RunOutcome(noted) != "failed" {
		t.Errorf("a run of no function ended with %v, and is noted as %v", err, noted)
	}
}

// A list that moves while it is paged may name a function twice.
func TestFunctionListedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.source.listed = [][]archive.Function{{alpha, beta}, {beta, gamma}}
	w.source.records[beta.URN] = many("b", hour(3), 5)
	run := w.start(t.Context(), span(3, 5))
	select {
	case done := <-run:
		if done.err != nil || done.summary.Matched != 3 || done.summary.Windows != 6 || done.summary.Elsewhere != 0 {
			t.Errorf("the run ended with %v, %+v", done.err, done.summary)
		}
	case <-time.After(patience):
		t.Fatal("the run waits for itself")
	}
	if got := len(w.source.asked()); got != 3 {
		t.Errorf("%d calls for three functions", got)
	}
}

// A walk that an earlier run left open may reach beyond what is asked for now.
// It is gone on with, and its windows are this run's.
func TestOpenWalkBeyondTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	w.store.after = func(_ context.Context, op string, _ int) error {
		if op == opCommit {
			return errDisk
		}
		return nil
	}
	if _, err := w.archive(span(0, 6)); !errors.Is(err, errDisk) {
		t.Fatalf("the run ended with %v", err)
	}
	w.restart()
	summary := w.complete(span(2, 3))
	w.states(alpha, span(0, 6), archive.StateComplete)
	if summary.Windows != 6 || summary.Done != 6 || summary.Elsewhere != 0 {
		t.Errorf("the summary is %+v", summary.Totals)
	}
}

// An error of the store ends the run, wherever it happens, and is said.
func TestStoreErrors(t *testing.T) {
	t.Parallel()
	for _, op := range []string{opBegin, opSee, opUnseen, opDue, opClaim, opWork, opArchived, opCommit, opFail, opGone, opRelease, opEnd} {
		for _, persisted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, persisted %v", op, persisted), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 10, alpha)
				w.source.records[alpha.URN] = many("a", hour(3), 25)
				w.source.before = func(_ context.Context, a ask) error {
					if op == opArchived && a.nth >= 2 {
						return errServer // so that a walk is left open
					}
					return nil
				}
				if op == opArchived {
					if _, err := w.archive(span(3, 4)); err == nil {
						t.Fatal("the first run ended as if all were well")
					}
				}
				w.source.before = nil
				w.source.errs[alpha.URN] = map[string]error{opFail: errServer, opGone: archive.ErrGone}[op]
				fail := func(_ context.Context, this string, _ int) error {
					if this == op {
						return errDisk
					}
					return nil
				}
				if persisted {
					w.store.after = fail
				} else {
					w.store.before = fail
				}
				if _, err := w.archive(span(3, 4)); !errors.Is(err, errDisk) {
					t.Errorf("the run ended with %v", err)
				}
				if run := w.db.runs; op != opBegin && op != opEnd && (!run[len(run)-1].ended || !errors.Is(run[len(run)-1].err, errDisk)) {
					t.Errorf("the runs are noted as %+v", run)
				}
			})
		}
	}
}

// A run works on as many functions at once as it has slots.
func TestFunctionsAtOnce(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{0, 1, 3, 100} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			t.Parallel()
			const n = 30
			var functions []archive.Function
			w := newWorld(t, 10)
			for i := range n {
				f := archive.Function{URN: fmt.Sprintf("urn:%d", i), Name: fmt.Sprint(i)}
				functions = append(functions, f)
				w.source.records[f.URN] = many(f.Name, hour(3), 25)
			}
			w.source.listed = [][]archive.Function{functions[:5], functions[5:]}
			bound := min(pagesPerCall*max(concurrency, 1), n)
			var mu sync.Mutex
			held, most := 0, 0
			full := make(chan struct{})
			w.store.after = func(_ context.Context, op string, _ int) error {
				mu.Lock()
				defer mu.Unlock()
				if op == opClaim {
					held++
					if most = max(most, held); most == bound && held == bound {
						select {
						case <-full:
						default:
							close(full)
						}
					}
				}
				return nil
			}
			w.store.before = func(_ context.Context, op string, _ int) error {
				if op == opRelease {
					mu.Lock()
					defer mu.Unlock()
					held--
				}
				return nil
			}
			// Nothing is answered before all workers have something to do.
			w.source.before = func(context.Context, ask) error {
				await(t, "all workers at work", full)
				return nil
			}
			a := w.archiver()
			a.Concurrency = concurrency
			if _, err := a.Archive(t.Context(), archive.Order{Range: span(3, 4)}, new(archive.Progress)); err != nil {
				t.Fatal(err)
			}
			w.all()
			if most != bound {
				t.Errorf("%d functions were worked on at once, want %d", most, bound)
			}
		})
	}
}

// The progress of a run can be read while the run goes on.
func TestProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = append(many("a", hour(3), 15), unusable("{}", hour(3)))
	progress := new(archive.Progress)
	seen := make(chan archive.Totals, 1)
	w.source.before = func(_ context.Context, a ask) error {
		if a.nth == 2 {
			seen <- progress.Totals()
		}
		return nil
	}
	if _, err := w.archiver().Archive(t.Context(), archive.Order{Range: span(3, 5)}, progress); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got.Functions != 1 || got.Windows != 2 || got.Done != 0 {
		t.Errorf("midway, the totals are %+v", got)
	}
	want := archive.Totals{Functions: 1, Windows: 2, Done: 2, Complete: 2, Inserted: 15, Rejected: 1}
	if got := progress.Totals(); got != want || got.Records() != 15 {
		t.Errorf("the totals are %+v, want %+v", got, want)
	}
}
