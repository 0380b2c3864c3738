package loop

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
)

var (
	midnight = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)

	alpha = archive.Function{URN: "urn:alpha", Name: "alpha"}
	beta  = archive.Function{URN: "urn:beta", Name: "beta"}
	gamma = archive.Function{URN: "urn:gamma", Name: "gamma"}
)

func hour(n int) time.Time { return midnight.Add(time.Duration(n) * archive.Hour) }

func span(from, to int) archive.Span { return archive.Span{From: hour(from), To: hour(to)} }

// padded is what a span is asked for by.
func padded(s archive.Span) archive.Span {
	return archive.Span{From: s.From.Add(-time.Second), To: s.To.Add(time.Second)}
}

// A world is a source, a database and a clock that stands a day after midnight.
type world struct {
	t      *testing.T
	clock  *clocktest.Clock
	source *fakeSource
	db     *database
	store  *fakeStore
}

func newWorld(t *testing.T, limit int, functions ...archive.Function) *world {
	t.Helper()
	clock := clocktest.New(midnight.Add(30 * archive.Hour))
	w := &world{t: t, clock: clock, source: newFakeSource(limit, functions...), db: newDatabase(t, clock)}
	w.db.claimed, w.db.committed = w.source.claimed, w.source.committed
	w.store = w.db.connect("first")
	return w
}

func (w *world) archiver() *Archiver {
	var source archive.Source = w.source
	if !w.source.token {
		source = offsets{w.source}
	}
	return &Archiver{
		Source: source, Store: w.store, Clock: w.clock,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Settle: 10 * time.Minute, Concurrency: 2,
	}
}

// restart is a new process on the same database.
func (w *world) restart() { w.store = w.db.connect(w.store.owner + "'s successor") }

// archive makes the windows of a span complete.
func (w *world) archive(s archive.Span) (archive.Summary, error) {
	return w.archiver().Archive(w.t.Context(), archive.Order{AskedBy: "test", Range: s}, new(archive.Progress))
}

// complete does so and insists.
func (w *world) complete(s archive.Span) archive.Summary {
	w.t.Helper()
	summary, err := w.archive(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return summary
}

// An ended is what a run in the background came to.
type ended struct {
	summary archive.Summary
	err     error
}

func (w *world) start(ctx context.Context, s archive.Span) <-chan ended {
	c := make(chan ended, 1)
	a := w.archiver()
	go func() {
		summary, err := a.Archive(ctx, archive.Order{AskedBy: "test", Range: s}, new(archive.Progress))
		c <- ended{summary, err}
	}()
	return c
}

// states insists on the states of a function's windows.
func (w *world) states(f archive.Function, s archive.Span, want ...archive.State) {
	w.t.Helper()
	if len(want) == 1 {
		want = slices.Repeat(want, s.Windows())
	}
	for i := range want {
		if got := w.db.state(f.URN, s.From.Add(time.Duration(i)*archive.Hour)).state; got != want[i] {
			w.t.Errorf("%s: window %s is %q, not %q", f.Name, s.From.Add(time.Duration(i)*archive.Hour).Format("15h"), got, want[i])
		}
	}
}

// all insists that the archive has what the source has, once each.
func (w *world) all() {
	w.t.Helper()
	var want []string
	for _, list := range w.source.records {
		for _, e := range list {
			if e.payload == "" {
				want = append(want, e.RequestID)
			}
		}
	}
	slices.Sort(want)
	if got := w.db.ids(); !slices.Equal(got, want) {
		w.t.Errorf("%d rows are kept of %d records; missing %v", len(got), len(want), missing(want, got))
	}
}

func missing(want, got []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(id string) bool {
		_, there := slices.BinarySearch(got, id)
		return there
	})
}

// cursors are the cursors asked for, one after the other.
func cursors(asks []ask) []archive.Cursor {
	list := make([]archive.Cursor, len(asks))
	for i := range asks {
		list[i] = asks[i].Cursor
	}
	return list
}
