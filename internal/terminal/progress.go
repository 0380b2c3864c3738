package terminal

import (
	"io"
	"log/slog"
	"os"
	"time"

	"archiver/internal/archive"
)

// logInterval is the time between two lines of the log that tell the progress.
const logInterval = 5 * time.Second

// Show shows the progress of a run until stop is called: by a bar if w is the
// console of a terminal, and by a line of the log every few seconds elsewhere.
// stop reports whether there was a bar. compares says that the run compares
// counts before it reads windows.
func Show(p *archive.Progress, source archive.Source, w io.Writer, log *slog.Logger, compares bool) (stop func() (bar bool)) {
	m := newMeter(p, source, time.Now)
	if c, ok := w.(*Console); ok && Is(c) && os.Getenv("TERM") != "dumb" {
		stop := drawBar(c, m.read, compares)
		return func() bool { stop(); return true }
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(logInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				logReading(log, m.read())
			case <-done:
				return
			}
		}
	}()
	return func() bool {
		close(done)
		<-ended
		return false
	}
}

func logReading(log *slog.Logger, r reading) {
	seconds := int64(r.left.Seconds())
	switch {
	case r.Finishing:
		log.Info("making statistics", "seconds_left", seconds, "at_least", r.atLeast)
		return
	case r.Months > 0:
		log.Info("merging days", "months", r.Months, "months_done", r.Merged, "seconds_left", seconds, "at_least", r.atLeast)
		return
	case r.FigureDays > 0:
		log.Info("counting figures", "days", r.FigureDays, "days_done", r.Counted, "seconds_left", seconds, "at_least", r.atLeast)
		return
	}
	log.Info("archiving", "windows_done", r.Done, "windows", r.Windows, "compared", r.Compared,
		"records", r.Records(), "records_per_second", int64(r.rate), "calls", r.calls, "throttled", r.refused,
		"calls_left", r.Coming, "seconds_left", seconds, "at_least", r.atLeast)
}
