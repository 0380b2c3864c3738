package pg

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
)

// A server that ends TLS, and one that vanishes, are lost.
func TestLostThroughTLS(t *testing.T) {
	t.Parallel()
	config, err := Config("postgres://archiver@localhost/archive")
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	for _, clean := range []bool{true, false} {
		near, far := net.Pipe()
		server := tls.Server(far, certified.TLS)
		go func() {
			if err := server.Handshake(); err != nil {
				t.Error(err)
			}
			if clean {
				_ = server.Close()
			}
			_ = far.Close()
		}()
		client := tls.Client(connection{near}, &tls.Config{InsecureSkipVerify: true})
		_, err := config.ConnConfig.BuildFrontend(client, client).Receive()
		if TroubleOf(err) != archive.TroubleLost {
			t.Errorf("clean %v: %v", clean, err)
		}
		_ = near.Close()
	}
}

// A database is away if it stops, starts or cannot be reached; not if its name is wrong, nor
// if it answers that a statement failed. Of several hosts, one that is away is enough.
func TestAway(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"57P01", "57P02", "57P03", "53300", "08006"} {
		if err := fmt.Errorf("connect: %w", &pgconn.PgError{Code: code}); !Away(err) || NoSuchHost(err) {
			t.Errorf("%v: away %v, no such host %v", err, Away(err), NoSuchHost(err))
		}
	}
	for _, code := range []string{"55P03", "40P01", "53100", "57014", "28P01", "3D000"} {
		if err := fmt.Errorf("migrate up: %w", &pgconn.PgError{Code: code}); Away(err) || NoSuchHost(err) {
			t.Errorf("%v: away %v, no such host %v", err, Away(err), NoSuchHost(err))
		}
	}
	if Away(fmt.Errorf("migrate up: %w", context.DeadlineExceeded)) {
		t.Error("a migration that takes too long: the database is away")
	}
	for hosts, want := range map[string]struct{ away, noSuchHost bool }{
		"nosuch":          {false, true},
		"nosuch,nosuch":   {false, true},
		"busy":            {true, false},
		"refusing":        {true, false},
		"nosuch,refusing": {true, false},
		"refusing,nosuch": {true, false},
		"nosuch,busy":     {true, false},
	} {
		config, err := Config("postgres://archiver@" + hosts + "/archive?sslmode=disable")
		if err != nil {
			t.Fatal(err)
		}
		c := &config.ConnConfig.Config
		c.LookupFunc = func(_ context.Context, host string) ([]string, error) {
			switch host {
			case "nosuch":
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			case "busy":
				return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
			}
			return []string{"192.0.2.1"}, nil
		}
		c.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		_, err = pgconn.ConnectConfig(t.Context(), c)
		if err = errors.Join(fmt.Errorf("open: %w", err), nil); Away(err) != want.away || NoSuchHost(err) != want.noSuchHost {
			t.Errorf("%s: away %v, no such host %v: %v", hosts, Away(err), NoSuchHost(err), err)
		}
	}
}
