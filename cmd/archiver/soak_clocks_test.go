//go:build soak

package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// soakClocks archives the day from a source whose clock is ahead or behind by up to 20
// minutes, or jumps after its first answer. --settle is 10 minutes.
func soakClocks(t *testing.T, s *soak) (int, string) {
	const settle, margin = 10 * time.Minute, 30 * time.Second
	archived, refused := 0, 0
	for round := range 2 * s.runs {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			off := time.Duration(s.random.Int64N(int64(40*time.Minute))) - 20*time.Minute
			if (off.Abs() - settle).Abs() < margin {
				off *= 2 // what is decided near the limit depends on the seconds that calls take
			}
			jumps := round%3 == 2
			var answers atomic.Int64
			var calm atomic.Bool
			in := install(t, newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if first := answers.Add(1) == 1; !calm.Load() && (!first || !jumps) {
					w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
				}
				s.api.ServeHTTP(w, r)
			})))
			if jumps || off.Abs() < settle {
				in.backfill()
				calm.Store(true)
				s.same(t, in)
				archived++
				return
			}
			code, _, stderr := in.run(nil, ofDay("backfill")...)
			if code != exitIncomplete || !strings.Contains(stderr, "clocks differ by ") || queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows`) != 0 {
				t.Errorf("%s ahead: exit %d\n%s", off, code, stderr)
			}
			refused++
		})
	}
	return 2 * s.runs, fmt.Sprintf("%s; %d passes ended before they read anything", equal(archived), refused)
}
