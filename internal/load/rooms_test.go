package load

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
)

// rooms are a store, and what reads its archive and keeps its days.
type rooms struct {
	*Store
	*read.Archive
	*days.Days
}

func openStore(t testing.TB, url string) *rooms {
	t.Helper()
	db, err := pg.Open(t.Context(), url, 8, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return newRooms(db)
}

func newRooms(db *pg.DB) *rooms {
	d := days.New(db)
	return &rooms{New(db, d), read.New(db), d}
}

// status is what archiver status tells of the functions.
func (r *rooms) status(t testing.TB) (functions []read.Function) {
	t.Helper()
	err := r.Snapshot(t.Context(), func(s *read.Snapshot) (err error) {
		if functions, err = s.Functions(t.Context()); err != nil {
			return err
		}
		return s.CountOff(t.Context(), functions)
	})
	if err != nil {
		t.Fatal(err)
	}
	return functions
}

// CountFigures counts the figures that are due.
func (r *rooms) CountFigures(ctx context.Context, clock archive.Clock, within time.Duration) error {
	return figures.Count(ctx, r.db, clock, within)
}
