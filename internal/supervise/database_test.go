package supervise

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
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
		"no such host":     {err: noSuchHost(t), longest: time.Minute, comes: time.Hour, ends: true},
		"run, no host yet": {err: noSuchHost(t), forever: true, comes: time.Hour, atLeast: time.Hour},
		"migrate's lock":   {err: &pgconn.PgError{Code: "55P03"}, forever: true, comes: time.Hour, ends: true},
	} {
		began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		clock := clocktest.New(began)
		var log strings.Builder
		wait := databaseWait{Clock: hasty{clock}, Log: slog.New(slog.NewTextHandler(&log, nil)), longest: test.longest, forever: test.forever}
		err := wait.until(t.Context(), func() error {
			if clock.Now().Sub(began) < test.comes {
				return test.err
			}
			return nil
		})
		if took := clock.Now().Sub(began); errors.Is(err, test.err) != test.ends || took < test.atLeast || took > test.atLeast+maxOpenPause {
			t.Errorf("%s: %v after %s", name, err, took)
		}
		if said := strings.Count(log.String(), "the database is away"); test.forever && !test.ends && said != 12 {
			t.Errorf("%s: it is said %d times in an hour", name, said)
		}
	}
}

// noSuchHost is the error of an address whose host has no entry in the DNS.
func noSuchHost(t *testing.T) error {
	t.Helper()
	config, err := pg.Config("postgres://archiver@nosuch/archive")
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	_, err = pgconn.ConnectConfig(t.Context(), &config.ConnConfig.Config)
	return err
}

// A hasty clock lets the time of pauses pass.
type hasty struct{ *clocktest.Clock }

func (c hasty) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return context.Cause(ctx)
}
