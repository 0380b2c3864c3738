package pg

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver/pgtest"
)

// New connections sign in with the password as it is when they are made; those
// that are there stay.
func TestRotatedPassword(t *testing.T) {
	t.Parallel()
	base := pgtest.Database(t)
	admin, err := pgx.Connect(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	role := "rotated_" + admin.Config().Database
	run := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE ROLE " + role + " LOGIN PASSWORD 'first'")
	defer run("DROP ROLE " + role)
	with := func(password string) string {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(role, password)
		return u.String()
	}
	var now atomic.Pointer[string]
	set := func(address string) { now.Store(&address) }
	unreadable := errors.New("no such file")
	rotated := Rotated(func() (string, error) {
		if address := *now.Load(); address != "" {
			return address, nil
		}
		return "", unreadable
	})
	open := func(options ...Option) *DB {
		t.Helper()
		s, err := Open(t.Context(), with("first"), 2, slog.New(slog.DiscardHandler), options...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	reconnect := func(s *DB) error {
		s.Pool.Reset()
		return errors.Join(s.Pool.Ping(t.Context()), func() error {
			conn, err := s.Session(t.Context(), nil)
			if err != nil {
				return err
			}
			return conn.Close(t.Context())
		}())
	}

	set(with("first"))
	plain, following := open(), open(rotated)
	defer func() { // before the role is dropped
		plain.Close()
		following.Close()
	}()
	for _, s := range []*DB{plain, following} {
		if err := reconnect(s); err != nil {
			t.Error(err)
		}
	}
	run("ALTER ROLE " + role + " PASSWORD 'second'")
	if err := reconnect(plain); err == nil {
		t.Error("the password of before is still good: the test shows nothing")
	}
	set(with("second"))
	if err := reconnect(following); err != nil {
		t.Errorf("with the second password: %v", err)
	}
	run("ALTER ROLE " + role + " PASSWORD 'first'")
	for _, strange := range []string{"", "postgres://user:port@host:port/x"} {
		set(strange)
		if err := reconnect(following); err != nil {
			t.Errorf("while the file is unreadable: %v", err)
		}
	}
}
