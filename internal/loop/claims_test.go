package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"archiver/internal/archive"
)

// A function that another worker has is looked at again until nothing is due.
func TestClaimedElsewhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		finish    bool // the other worker completes the windows
		elsewhere int64
	}{
		{"and done there", true, 2},
		{"and left there", false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10, alpha, beta)
			w.source.records[alpha.URN] = many("a", hour(4), 25)
			w.source.records[beta.URN] = many("b", hour(4), 25)
			w.complete(span(3, 4))
			other, err := w.db.connect("other").Claim(t.Context(), w.db.functions[0].Known)
			if err != nil {
				t.Fatal(err)
			}
			looked := make(chan struct{}, 10)
			w.store.after = func(_ context.Context, op string, nth int) error {
				if op == opDue && nth > 2 { // the first was that of the run before
					looked <- struct{}{}
				}
				return nil
			}
			run := w.start(t.Context(), span(4, 6))
			for n := range 6 { // it stays busy for a while
				pass(t, w.clock, min(firstPause<<n, maxPause))
				await(t, "another look", looked)
			}
			asleep(t, w.clock, maxPause)
			w.states(beta, span(4, 6), archive.StateComplete)
			w.states(alpha, span(4, 6), "")
			if tc.finish {
				batch := archive.Batch{Walk: archive.Walk{Span: span(4, 6)}, Outcome: &archive.Outcome{State: archive.StateComplete}}
				for _, e := range w.source.records[alpha.URN] {
					batch.Invocations = append(batch.Invocations, e.Invocation)
				}
				if _, err := other.Commit(t.Context(), batch); err != nil {
					t.Fatal(err)
				}
			}
			if err := other.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			pass(t, w.clock, maxPause)
			done := await(t, "the end of the run", run)
			if done.err != nil {
				t.Fatal(done.err)
			}
			w.all()
			w.states(alpha, span(4, 6), archive.StateComplete)
			if got := done.summary; got.Windows != 4 || got.Elsewhere != tc.elsewhere || got.Done != 4-tc.elsewhere {
				t.Errorf("the summary is %+v", got.Totals)
			}
		})
	}
}

// Once another process has had a function, each span's end is where another
// process can go on.
func TestShares(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	for n := 1; n < 7; n += 2 {
		w.complete(span(n, n+1)) // so that there are four spans of one hour
	}
	w.source.records[alpha.URN] = many("a", hour(0), 5)
	w.source.records[beta.URN] = many("b", hour(0), 5)
	other := w.db.connect("other")
	claim := func(function int) archive.Claim {
		claim, err := other.Claim(t.Context(), w.db.functions[function].Known)
		if err != nil {
			t.Error(err)
		}
		return claim
	}
	first, second := claim(0), claim(1)
	run := w.start(t.Context(), span(0, 7))
	asleep(t, w.clock, firstPause)
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second = nil
	w.store.after = func(_ context.Context, op string, _ int) error {
		if op == opRelease && second == nil { // of beta
			second = claim(1)
		}
		return nil
	}
	pass(t, w.clock, firstPause)
	asleep(t, w.clock, 2*firstPause)
	for n, claim := range []archive.Claim{first, second} {
		work, err := claim.Work(t.Context(), archive.Order{Range: span(0, 7)}, w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		if want := 4 - n; len(work.Windows) != want {
			t.Errorf("%d windows of %s are left, want %d", len(work.Windows), w.db.functions[n].Name, want)
		}
		if err := claim.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pass(t, w.clock, 2*firstPause)
	if done := await(t, "the end of the run", run); done.err != nil || done.summary.Done != 8 {
		t.Errorf("the run ended with %v, %+v", done.err, done.summary.Totals)
	}
	w.all()
}

// If another process has read the newest window after this run planned it, no older
// window is taken for the newest one: the others are read as one span.
func TestNewestReadElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.fullPage = 10
	for h := range 7 {
		w.source.records[alpha.URN] = append(w.source.records[alpha.URN], many(fmt.Sprint(h), hour(h), 20)...)
	}
	other := w.db.connect("other")
	once := false
	w.store.after = func(ctx context.Context, op string, _ int) error {
		if op != opDue || once {
			return nil
		}
		once = true
		claim, err := other.Claim(ctx, w.db.functions[0].Known)
		if err != nil {
			return err
		}
		batch := archive.Batch{Walk: archive.Walk{Span: span(6, 7)}, Outcome: &archive.Outcome{State: archive.StateComplete}}
		for _, e := range many("6", hour(6), 20) {
			batch.Invocations = append(batch.Invocations, e.Invocation)
		}
		if _, err := claim.Commit(ctx, batch); err != nil {
			return err
		}
		return claim.Release(ctx)
	}
	if _, err := w.archive(span(0, 7)); err != nil {
		t.Fatal(err)
	}
	w.all()
	if asks := w.source.asked(); asks[0].Span != padded(span(0, 6)) {
		t.Errorf("the first question is for %s", asks[0].Span)
	}
	for _, ask := range w.source.asked() {
		if ask.Span == padded(span(5, 6)) {
			t.Errorf("%s was asked for as the newest window", ask.Span)
		}
	}
}

// A process works on half of the functions that are shared, and leaves the
// others for another process.
func TestSharesByHalves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, named(8)...)
	w.complete(span(1, 2)) // leaves two spans
	other, err := w.db.connect("other").Claim(t.Context(), w.db.functions[0].Known)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var claims, held, most int
	w.store = w.db.connect("second")
	w.store.after = func(_ context.Context, op string, _ int) error {
		mu.Lock()
		defer mu.Unlock()
		switch op {
		case opWork:
			claims++
			held++
			if claims > 7 { // some function had its first span read before
				most = max(most, held)
			}
		case opRelease:
			held--
		}
		return nil
	}
	a := w.archiver()
	a.Concurrency = 4
	run := make(chan error, 1)
	go func() {
		_, err := a.Archive(t.Context(), archive.Order{Range: span(0, 3)}, new(archive.Progress))
		run <- err
	}()
	asleep(t, w.clock, firstPause)
	if claims < 8 || most > 4 {
		t.Errorf("%d functions are held at once, after %d claims", most, claims)
	}
	if err := other.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	pass(t, w.clock, firstPause)
	if err := await(t, "the end of the run", run); err != nil {
		t.Error(err)
	}
	w.states(w.db.functions[0].Function, span(0, 3), archive.StateComplete)
}

// A worker that has lost the function writes nothing more of it, and leaves the
// function to the other worker.
func TestClaimLostAtACommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	thief := w.db.connect("thief")
	w.store.before = func(_ context.Context, op string, nth int) error {
		if op == opCommit && nth == 3 {
			w.db.steal(alpha.URN, thief)
		}
		return nil
	}
	run := w.start(t.Context(), span(3, 4))
	w.finish(span(3, 4), run)
	if got := len(w.db.commits()); got != 2+8 {
		t.Errorf("%d pages are kept, want 10", got)
	}
	want := []archive.Cursor{"20", "30", "40", "50", "60", "70", "80", "90"}
	asks := cursors(w.source.asked())
	if got := asks[len(asks)-len(want):]; !slices.Equal(got, want) {
		t.Errorf("the other asked for %q, want %q", got, want)
	}
}

// finish waits until the process that lost a function knows, and lets the one
// that took it over do what is left.
func (w *world) finish(s archive.Span, run <-chan ended) {
	w.t.Helper()
	asleep(w.t, w.clock, firstPause)
	lost := w.store.owner
	before := len(w.db.commits())
	held, taken := w.db.claims[1], w.db.functions[0].Known
	stolen := &fakeClaim{store: held.store, function: taken, epoch: held.epoch}
	if err := stolen.Release(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.store = stolen.store
	w.complete(s)
	w.all()
	for _, b := range w.db.commits()[before:] {
		if b.owner == lost {
			w.t.Errorf("%s wrote after it lost the function", lost)
		}
	}
	pass(w.t, w.clock, firstPause)
	if done := await(w.t, "the end of the run that lost it", run); done.err != nil {
		w.t.Errorf("the run that lost the function ended with %v", done.err)
	}
}

// A claim is renewed while a call takes long; if it is lost in that time, the
// call is ended.
func TestClaimLostDuringACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	asked := make(chan struct{})
	w.source.before = func(ctx context.Context, a ask) error {
		if a.nth != 3 {
			return nil
		}
		close(asked)
		await(t, "the end of the context", ctx.Done())
		return ctx.Err()
	}
	renewed := make(chan struct{}, 10)
	w.store.after = func(_ context.Context, op string, _ int) error {
		if op == opRenew {
			renewed <- struct{}{}
		}
		return nil
	}
	run := w.start(t.Context(), span(3, 4))
	await(t, "the call that hangs", asked)
	for range 4 { // longer than a claim lasts by itself
		pass(t, w.clock, archive.ClaimLife/3)
		await(t, "the claim to be renewed", renewed)
	}
	if _, err := w.db.connect("other").Claim(t.Context(), w.db.functions[0].Known); !errors.Is(err, archive.ErrClaimed) {
		t.Fatalf("a function that is worked on can be claimed: %v", err)
	}
	w.db.steal(alpha.URN, w.db.connect("thief"))
	pass(t, w.clock, archive.ClaimLife/3)
	w.finish(span(3, 4), run)
}

// An error that a lost claim brings about says no more than that: the other
// functions go on.
func TestClaimLostWhileFailing(t *testing.T) {
	t.Parallel()
	for _, op := range []string{opWork, opFail, opGone, opArchived} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			// Alone: the clock must not pass for another one's renewal only.
			w := newWorld(t, 10, alpha)
			w.source.records[alpha.URN] = many("a", hour(3), 25)
			if op == opArchived {
				w.source.before = func(_ context.Context, a ask) error {
					if a.URN == alpha.URN && a.nth >= 2 {
						return errServer // so that a walk is left open
					}
					return nil
				}
				if _, err := w.archive(span(3, 4)); err == nil {
					t.Fatal("the first run ended as if all were well")
				}
				w.source.before = nil
			}
			var stolen atomic.Bool
			if err, ok := map[string]error{opFail: errServer, opGone: archive.ErrGone}[op]; ok {
				w.source.before = func(context.Context, ask) error {
					if stolen.Load() {
						return nil
					}
					return err
				}
			}
			reached := make(chan struct{})
			w.store = w.db.connect("second")
			var once sync.Once
			w.store.before = func(ctx context.Context, this string, _ int) error {
				if this == op && of(ctx) == alpha {
					once.Do(func() {
						close(reached)
						await(t, "the end of the context", ctx.Done())
					})
				}
				return nil
			}
			run := w.start(t.Context(), span(3, 4))
			await(t, op, reached)
			stolen.Store(true)
			w.db.steal(alpha.URN, w.db.connect("thief"))
			pass(t, w.clock, archive.ClaimLife/3)
			w.finish(span(3, 4), run)
		})
	}
}

// Renewing that fails for another reason is no reason to stop: commits find
// out themselves whether the claim still holds.
func TestRenewFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	asked, goOn, renewed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w.source.before = func(_ context.Context, a ask) error {
		if a.nth == 2 {
			close(asked)
			await(t, "the word to go on", goOn)
		}
		return nil
	}
	w.store.before = func(_ context.Context, op string, _ int) error {
		if op == opRenew {
			defer close(renewed)
			return errDisk
		}
		return nil
	}
	run := w.start(t.Context(), span(3, 4))
	await(t, "the call that takes long", asked)
	pass(t, w.clock, archive.ClaimLife/3)
	await(t, "the attempt to renew", renewed)
	close(goOn)
	if done := await(t, "the end of the run", run); done.err != nil {
		t.Fatal(done.err)
	}
	w.all()
}
