//go:build soak

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver"
)

// soakSubscriber follows archives from another server with the statements of
// docs/replication.md. In turn the archiver and the subscriber's server are killed.
func soakSubscriber(t *testing.T, s *soak) (int, string) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "replication.md"))
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	publish, table, subscribe := said[0][1], said[1][1], said[2][1]

	archive := s.server(t, pgserver.Options{Settings: map[string]string{"wal_level": "logical"}})
	follower := s.server(t, pgserver.Options{})
	kills, rounds := 0, 0
	for ; kills < s.runs && !t.Failed(); rounds++ {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			from, to := newDatabase(t, archive, rounds), newDatabase(t, follower, rounds)
			in, r := s.watched(t, from)
			if code, _, stderr := in.run(nil, "migrate", "up"); code != exitDone {
				t.Fatal(stderr)
			}
			name := fmt.Sprintf("round_%d", rounds)
			subscribe := strings.Replace(subscribe, "SUBSCRIPTION invocations", "SUBSCRIPTION "+name, 1)
			subscribe = regexp.MustCompile(`CONNECTION '[^']*'`).ReplaceAllLiteralString(subscribe, "CONNECTION '"+from+"'")
			for _, do := range []struct{ url, statement string }{{from, publish}, {to, table}, {to, subscribe}} {
				if err := pgserver.Exec(t.Context(), do.url, do.statement); err != nil {
					t.Fatalf("%s: %v", do.statement, err)
				}
			}
			for range 3 {
				if kills == s.runs {
					break
				}
				if kills%2 == 1 {
					if !s.killed(t, in, r, s.pages/3) {
						break
					}
					kills++
				} else if a := start(t, in, ofDay("backfill")...); s.reached(r, a, s.pages/3) {
					follower.Kill()
					if err := follower.Restart(t.Context()); err != nil {
						t.Fatal(err)
					}
					kills++
					a.ended(t)
				}
			}
			r.begin(0)
			in.backfill()
			s.same(t, in)
			want := published(t, from)
			patiently(t, "let the subscriber follow", func(context.Context) error {
				if got := published(t, to); got != want {
					return fmt.Errorf("it holds %s, want %s", got, want)
				}
				return nil
			})
			if err := pgserver.Exec(t.Context(), to, "DROP SUBSCRIPTION "+name); err != nil {
				t.Error(err)
			}
		})
	}
	return kills, "the subscriber equals the archive; " + equal(rounds)
}

// published is the number of rows that a database holds of the publication, and a sum
// over them.
func published(t *testing.T, url string) (holds string) {
	t.Helper()
	patiently(t, "read what was published", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		return conn.QueryRow(ctx, `
			SELECT count(*) || ' ' || coalesce(sum(hashtextextended((first_archived_at, updated_at, start_time, end_time, queried_window,
			       function_id, request_id, status, source_status, error_code, error_message, extra)::text, 0)), 0)
			  FROM invocations`).Scan(&holds)
	})
	return holds
}
