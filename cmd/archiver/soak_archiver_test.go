//go:build soak

package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"archiver/internal/pgserver"
	"archiver/internal/pgserver/pgtest"
)

// killsOfRound is how often the archiver is killed on the way to one archive.
const killsOfRound = 10

func soakArchiver(t *testing.T, s *soak) (int, string) {
	kills, rounds := 0, 0
	for ; kills < killsOfRound*s.runs && !t.Failed(); rounds++ {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			// Each second archive begins without a schema: its first kills meet migrations.
			database := ""
			if rounds%2 == 1 {
				database = pgtest.Database(t)
				for range killsOfRound / 3 {
					in, _ := s.watched(t, database)
					a := start(t, in, ofDay("backfill")...)
					time.AfterFunc(time.Duration(s.random.IntN(600))*time.Millisecond, func() { _ = a.Process.Kill() })
					if a.ended(t) {
						kills++
					}
				}
			}
			in, r := s.watched(t, database)
			for n := 0; n < killsOfRound && s.killed(t, in, r, s.pages/(killsOfRound/2)); n++ {
				kills++
				s.neverEarly(t, in)
			}
			r.begin(0)
			in.backfill()
			s.same(t, in)
		})
	}
	return kills, equal(rounds)
}

// killed backfills the day, kills the archiver within about so many pages, and reports
// whether it was killed before its end.
func (s *soak) killed(t *testing.T, in *installation, r *recorder, pages int) bool {
	t.Helper()
	ready := make(chan *started, 1)
	s.moment(r, pages, func() { _ = (<-ready).Process.Kill() })
	a := start(t, in, ofDay("backfill")...)
	ready <- a
	return a.ended(t)
}

func soakVersions(t *testing.T, s *soak) (int, string) {
	versions := []int{14, 15, 16, 17, 18}
	for _, version := range versions {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			server := s.server(t, pgserver.Options{Version: version})
			if got := integer(t, server.URL(), `SELECT current_setting('server_version_num')::int / 10000`); got != version {
				t.Fatalf("the server is PostgreSQL %d", got)
			}
			in, r := s.watched(t, server.URL())
			if !s.killed(t, in, r, s.pages/2) {
				t.Error("the archiver was not killed")
			}
			s.neverEarly(t, in)
			r.begin(0)
			in.backfill()
			s.same(t, in)
			for _, command := range [][]string{{"check"}, {"status"}, {"report", "--out", filepath.Join(t.TempDir(), "report.html")}} {
				if code, stdout, stderr := in.run(nil, command...); code != exitDone {
					t.Errorf("%s: exit %d\n%s%s", command[0], code, stdout, stderr)
				}
			}
		})
	}
	return len(versions), equal(len(versions))
}

// processes is how many archivers work on one archive.
const processes = 3

func soakProcesses(t *testing.T, s *soak) (int, string) {
	kills := 0
	for round := range s.runs {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			in, r := s.watched(t, "")
			var all [processes]*started
			ready := make(chan *started, 1)
			s.moment(r, s.pages/2, func() { _ = (<-ready).Process.Kill() })
			for i := range all {
				all[i] = start(t, in, ofDay("backfill")...)
			}
			ready <- all[s.random.IntN(processes)]
			for _, a := range all {
				if a.ended(t) {
					kills++
					s.neverEarly(t, in)
					start(t, in, ofDay("backfill")...).ended(t)
				}
			}
			if r.pages > 2*s.pages {
				t.Errorf("%d pages were asked for, and %d by one archiver", r.pages, s.pages)
			}
			s.same(t, in)
			if n := queryValue[int](in, `SELECT count(*)::int FROM runs WHERE asked_by = 'backfill' AND records > 0`); n < 2 {
				t.Errorf("%d archivers read records", n)
			}
		})
	}
	return kills, equal(s.runs)
}
