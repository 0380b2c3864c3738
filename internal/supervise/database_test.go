package supervise

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive/clocktest"
	"archiver/internal/load/pg"
)

// A database that is away is waited for when a command starts; what waiting does not mend
// ends the command at once.
func TestDatabaseIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	starting := &pgconn.PgError{Code: "57P03"}
	for name, test := range map[string]struct {
		err     error
		longest time.Duration
		forever bool
		comes   time.Duration
		ends    bool
		atLeast time.Duration
	}{
		"it comes":         {err: starting, longest: time.Minute, comes: 30 * time.Second, atLeast: 30 * time.Second},
		"it does not":      {err: starting, longest: time.Minute, comes: time.Hour, ends: true, atLeast: time.Minute},
		"run":              {err: pg.ErrStandby, forever: true, comes: time.Hour, atLeast: time.Hour},
		"no patience":      {err: starting, comes: time.Hour, ends: true},
		"wrong password":   {err: &pgconn.PgError{Code: "28P01"}, forever: true, comes: time.Hour, ends: true},
		"no such database": {err: &pgconn.PgError{Code: "3D000"}, forever: true, comes: time.Hour, ends: true},
	} {
		began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		clock := clocktest.New(began)
		wait := databaseWait{Clock: hasty{clock}, Log: slog.New(slog.DiscardHandler), longest: test.longest, forever: test.forever}
		err := wait.until(t.Context(), func() error {
			if clock.Now().Sub(began) < test.comes {
				return test.err
			}
			return nil
		})
		if took := clock.Now().Sub(began); errors.Is(err, test.err) != test.ends || took < test.atLeast || took > test.atLeast+maxOpenPause {
			t.Errorf("%s: %v after %s", name, err, took)
		}
	}
}

// A hasty clock lets the time of pauses pass.
type hasty struct{ *clocktest.Clock }

func (c hasty) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return context.Cause(ctx)
}
