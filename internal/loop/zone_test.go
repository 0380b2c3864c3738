package loop

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"archiver/internal/archive"
)

// Records that start eight hours outside of what was asked for are kept in their own windows,
// and the log says so once.
func TestZone(t *testing.T) {
	t.Parallel()
	for name, shift := range map[string]int{"eight hours": 8, "none": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 100, alpha)
			for _, e := range many("a", hour(3), 20) {
				e.at, e.Start = e.Start, hour(3+shift).Add(e.Start.Sub(hour(3)))
				w.source.records[alpha.URN] = append(w.source.records[alpha.URN], e)
			}
			var log bytes.Buffer
			a := w.archiver()
			a.Log = slog.New(slog.NewTextHandler(&log, nil))
			if _, err := a.Archive(t.Context(), archive.Order{Range: span(3, 4)}, new(archive.Progress)); err != nil {
				t.Fatal(err)
			}
			w.all()
			said := strings.Count(log.String(), "hours=8")
			if want := shift / 8; said != want {
				t.Errorf("said %d times, want %d: %s", said, want, log.String())
			}
		})
	}
}
