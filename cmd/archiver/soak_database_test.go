//go:build soak

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver"
)

// soakDatabase kills PostgreSQL while archivers work: in turn the first process of the
// server, which is started again, and one session of the archiver, after which the
// server ends all sessions and recovers.
func soakDatabase(t *testing.T, s *soak) (int, string) {
	server := s.server(t, pgserver.Options{})
	want, kills, rounds := (5*s.runs+1)/2, 0, 0
	for ; kills < want && !t.Failed(); rounds++ {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			in, r := s.watched(t, newDatabase(t, server, rounds))
			a := start(t, in, ofDay("backfill")...)
			for n := 0; n < killsOfRound/2 && kills < want && s.reached(r, a, s.pages/5); n++ {
				if n%2 == 0 {
					server.Kill()
					if err := server.Restart(t.Context()); err != nil {
						t.Fatal(err)
					}
					kills++
				} else if killSession(t, server.URL()) {
					kills++
				}
				s.neverEarly(t, in)
			}
			a.ended(t)
			s.same(t, in)
		})
	}
	return kills, equal(rounds)
}

// killSession sends SIGKILL to a random session of the archiver. It reports false if there
// is none.
func killSession(t *testing.T, url string) bool {
	t.Helper()
	pid := integer(t, url, `SELECT min(pid) FROM (
		SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'archiver%' ORDER BY random() LIMIT 1) a`)
	return pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil
}

// integer asks a database for a number, until it answers. NULL is 0.
func integer(t *testing.T, url, statement string) int {
	t.Helper()
	var n *int
	patiently(t, statement, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		return conn.QueryRow(ctx, statement).Scan(&n)
	})
	if n == nil {
		return 0
	}
	return *n
}

// soakSynchronous and soakAsynchronous end the primary while an archiver works, and
// promote its standby. The address names both, the standby first.
func soakSynchronous(t *testing.T, s *soak) (int, string) {
	lost := s.failOver(t, true)
	if lost != 0 {
		t.Errorf("%d records were lost by a synchronous standby", lost)
	}
	return s.half(), equal(s.half())
}

func soakAsynchronous(t *testing.T, s *soak) (int, string) {
	lost := s.failOver(t, false)
	if lost == 0 {
		t.Error("no failover lost a record")
	}
	return s.half(), fmt.Sprintf("%d committed records were lost and read again; %s", lost, equal(s.half()))
}

// half is the size of what takes long.
func (s *soak) half() int { return (s.runs + 1) / 2 }

// failOver returns how many committed records the standbys did not have. In each second
// round of an asynchronous standby the source does not answer while the server changes: no
// statement of the archiver fails then, and it has to notice that another server answers.
func (s *soak) failOver(t *testing.T, synchronous bool) (lost int) {
	t.Helper()
	for round := range s.half() {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			primary := s.server(t, pgserver.Options{})
			standby := s.server(t, pgserver.Options{StandbyOf: primary})
			if synchronous {
				makeSynchronous(t, primary)
			}
			host := func(s *pgserver.Server) string {
				_, rest, _ := strings.Cut(s.URL(), "@")
				at, _, _ := strings.Cut(rest, "/")
				return at
			}
			both := strings.Replace(primary.URL(), host(primary), host(standby)+","+host(primary), 1) + "&target_session_attrs=read-write"
			in, r := s.watched(t, both)
			var source sync.RWMutex
			r.next = held{s.api, &source}
			a := start(t, in, ofDay("backfill")...)
			if !s.reached(r, a, s.pages/2) {
				t.Fatalf("the backfill ended before the failover: %s", &a.said)
			}
			sender := 0
			if !synchronous {
				// The standby stays behind, as over a slow network.
				sender = integer(t, primary.URL(), `SELECT pid FROM pg_stat_replication`)
				if err := syscall.Kill(sender, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				before := stored(t, primary.URL())
				patiently(t, "let the archiver go on", func(context.Context) error {
					if stored(t, primary.URL()) == before {
						return errors.New("there are no new records")
					}
					return nil
				})
			}
			answer := func() {}
			if !synchronous && round%2 == 0 {
				source.Lock()
				answer = sync.OnceFunc(source.Unlock)
				defer answer()
				patiently(t, "wait until the archiver waits for the source", func(context.Context) error {
					if integer(t, primary.URL(), `
						SELECT count(*)::int FROM pg_stat_activity
						 WHERE application_name LIKE 'archiver%' AND (state <> 'idle' OR state_change > now() - interval '1.5 s')`) != 0 {
						return errors.New("it still works")
					}
					return nil
				})
			}
			had := stored(t, primary.URL())
			primary.Kill()
			if sender != 0 {
				_ = syscall.Kill(sender, syscall.SIGKILL) // while it is stopped, it does not notice that the server has ended
			}
			if err := pgserver.Exec(t.Context(), standby.URL(), "SELECT pg_promote()"); err != nil {
				t.Fatal(err)
			}
			answer()
			lost += max(0, had-stored(t, standby.URL()))
			s.neverEarly(t, in)
			a.ended(t)
			s.same(t, in)
		})
	}
	return lost
}

// A held source answers while nobody holds the lock.
type held struct {
	next http.Handler
	lock *sync.RWMutex
}

func (h held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.lock.RLock()
	h.lock.RUnlock() //nolint:staticcheck,gocritic // an answer that began before may end later
	h.next.ServeHTTP(w, r)
}

// stored is how many records an archive has.
func stored(t *testing.T, url string) (n int) {
	t.Helper()
	return integer(t, url, `SELECT count(*)::int FROM invocations`)
}

// makeSynchronous lets commits wait for the standby.
func makeSynchronous(t *testing.T, primary *pgserver.Server) {
	t.Helper()
	for _, statement := range []string{
		"ALTER SYSTEM SET synchronous_standby_names = '*'",
		"SELECT pg_reload_conf()",
		`DO $$ BEGIN
			WHILE NOT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync') LOOP
				PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
			END LOOP;
		END $$`,
	} {
		if err := pgserver.Exec(t.Context(), primary.URL(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
