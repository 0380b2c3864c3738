//go:build soak

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver"
)

// soakPooler archives through PgBouncer in session mode, with the settings of its
// package, and kills PgBouncer at random moments.
func soakPooler(t *testing.T, s *soak) (int, string) {
	server := s.server(t, pgserver.Options{})
	kills, rounds := 0, 0
	for ; kills < s.runs && !t.Failed(); rounds++ {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			direct, err := pgx.ParseConfig(newDatabase(t, server, rounds))
			if err != nil {
				t.Fatal(err)
			}
			config := poolerConfig(t, direct, freeAddress(t))
			kill := startPooler(t, config)
			in, r := s.watched(t, config.database)
			a := start(t, in, ofDay("backfill")...)
			for kills < s.runs && s.reached(r, a, s.pages/3) {
				kills++
				kill()
				kill = startPooler(t, config)
				s.neverEarly(t, in)
			}
			a.ended(t)
			s.same(t, in)
		})
	}
	return kills, equal(rounds)
}

// A pooler is a PgBouncer before one database.
type pooler struct {
	file     string
	database string // its address for clients
}

func poolerConfig(t *testing.T, direct *pgx.ConnConfig, address string) pooler {
	t.Helper()
	// The user who runs PgBouncer reads the folder.
	dir, err := os.MkdirTemp("", "archiver-soak-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(dir, "userlist.txt")
	p := pooler{file: filepath.Join(dir, "pgbouncer.ini")}
	for name, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", direct.User, direct.Password),
		p.file: fmt.Sprintf("[databases]\narchive = host=%s port=%d dbname=%s\n", direct.Host, direct.Port, direct.Database) +
			fmt.Sprintf("[pgbouncer]\nlisten_addr = %s\nlisten_port = %s\nunix_socket_dir =\nauth_type = md5\nauth_file = %s\n", host, port, users),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(direct.User, direct.Password), Host: address,
		Path: "/archive", RawQuery: "sslmode=disable",
	}
	p.database = u.String()
	return p
}

// startPooler starts PgBouncer, which refuses to run as root, and waits until it
// listens. kill waits for its end.
func startPooler(t *testing.T, p pooler) (kill func()) {
	t.Helper()
	args := []string{p.file}
	if os.Geteuid() == 0 {
		args = append(args, "--user=nobody")
	}
	cmd := exec.Command("pgbouncer", args...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	kill = func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
	}
	t.Cleanup(kill)
	patiently(t, "wait for PgBouncer", func(ctx context.Context) error {
		select {
		case <-ended:
			t.Fatalf("PgBouncer: %s", &said)
		default:
		}
		conn, err := pgx.Connect(ctx, p.database)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	return kill
}
