package loop

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
)

// named are so many functions.
func named(n int) []archive.Function {
	functions := make([]archive.Function, n)
	for i := range functions {
		functions[i] = archive.Function{URN: fmt.Sprintf("urn:%03d", i), Name: fmt.Sprintf("f%03d", i)}
	}
	return functions
}

// One function with 600 pages of one hour does not hold up a hundred that have
// one page each, though it comes first. If it is ahead of them, the source keeps it
// waiting for its 280th page until each of them was asked: how fast each worker gets on
// is up to the machine, but no worker may wait for the large function.
func TestLargeFunctionHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{1, 8} {
		functions := named(101)
		w := newWorld(t, 5, functions...)
		w.eager()
		w.source.records[functions[0].URN] = many("big", hour(3), 3000)
		for _, f := range functions[1:] {
			w.source.records[f.URN] = many(f.Name, hour(3), 3)
		}
		allAsked := make(chan struct{})
		var smallAsked atomic.Int64
		w.source.before = func(ctx context.Context, a ask) error {
			switch {
			case a.URN != functions[0].URN:
				if smallAsked.Add(1) == 100 {
					close(allAsked)
				}
			case a.nth >= 280:
				select {
				case <-allAsked:
				case <-ctx.Done():
					return fmt.Errorf("%d small functions were asked: %w", smallAsked.Load(), ctx.Err())
				}
			}
			return nil
		}
		a := w.archiver()
		a.Concurrency = concurrency
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := a.Archive(ctx, archive.Order{Range: span(3, 4)}, new(archive.Progress)); err != nil {
			t.Fatal(err)
		}
		w.all()
		large, small := 0, 0
		for _, ask := range w.source.asked() {
			if ask.URN == functions[0].URN {
				large++
			} else if small++; small == 100 {
				break
			}
		}
		if small != 100 || large > 300 {
			t.Errorf("concurrency %d: %d of 600 pages were asked for before the last of %d small functions", concurrency, large, small)
		}
	}
}

// With a backlog, the oldest windows of all functions go before anybody's newer
// ones, pieces of a span that was cut included, and cost no further call.
func TestOldestFirst(t *testing.T) {
	t.Parallel()
	functions := named(12)
	w := newWorld(t, 1000, functions...)
	for i, f := range functions {
		for h := 23; h >= 0; h -= 8 {
			n := 5
			if i%4 == 0 {
				n = 15_000 // of three such hours, a span is cut
			}
			w.source.records[f.URN] = append(w.source.records[f.URN], many(fmt.Sprintf("%s-%02d", f.Name, h), hour(h), n)...)
		}
	}
	a := w.archiver()
	a.Concurrency = 1
	summary, err := a.Archive(t.Context(), archive.Order{Range: span(0, 24)}, new(archive.Progress))
	if err != nil {
		t.Fatal(err)
	}
	w.all()
	// Pieces reach a second into the one before them: a page more.
	if want := int64(3*(1+15+16+16) + 9); summary.Calls != want {
		t.Errorf("%d calls, want %d", summary.Calls, want)
	}
	if summary.Done != summary.Windows || summary.Windows != 24*12 {
		t.Errorf("the summary is %+v", summary.Totals)
	}
	begun := make(map[string]bool)
	for _, ask := range w.source.asked() {
		if ask.Span.To.After(hour(24)) {
			continue // the newest windows come first
		}
		if begun[ask.URN] = true; ask.Span.From.After(hour(1)) && len(begun) <= 3-pagesPerCall { // three functions have more than their newest windows
			t.Fatalf("%s was asked for %s when %d functions had not been asked for their oldest windows", ask.URN, ask.Span, 3-len(begun))
		}
	}
}

// A function that gave way goes on where it was: what failed or was read by
// force in this run is not tried again.
func TestGivesWay(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		functions := named(9)
		w := newWorld(t, 10, functions...)
		for _, n := range []int{1, 3, 5} { // leaves four spans each
			w.complete(span(n, n+1))
		}
		for _, f := range functions {
			w.source.records[f.URN] = many(f.Name, hour(0), 15)
		}
		w.source.errs[functions[0].URN] = errServer
		before := len(w.source.asked())
		a := w.archiver()
		a.Concurrency = 1
		summary, err := a.Archive(t.Context(), archive.Order{Range: span(0, 7), Force: force}, new(archive.Progress))
		var incomplete *archive.IncompleteError
		if !errors.As(err, &incomplete) || summary.Done != summary.Windows {
			t.Fatalf("force %v: the run ended with %v, %+v", force, err, summary.Totals)
		}
		calls := make(map[string]int)
		for _, ask := range w.source.asked()[before:] {
			calls[ask.URN]++
		}
		for i, f := range functions {
			want := map[bool]int{false: 2 + 3, true: 2}[force] // a span has two pages
			if i == 0 {
				want = 3 // the span, the smallest question and the newest hour
			}
			if calls[f.URN] != want {
				t.Errorf("force %v: %d calls for %s, want %d", force, calls[f.URN], f.Name, want)
			}
		}
	}
}
