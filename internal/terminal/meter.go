package terminal

import (
	"fmt"
	"time"

	"archiver/internal/archive"
)

// meterSpan bounds the time that a rate is measured over: from one meterSpan to
// two. That is short enough to show a change, and long enough to be read.
const meterSpan = 5 * time.Second

// A meter computes rates from the totals of a run.
type meter struct {
	progress *archive.Progress
	source   archive.Source
	now      func() time.Time
	began    time.Time
	calls    archive.SourceStats // before the run
	marks    [2]mark             // the rate is measured from the first; the second replaces it after meterSpan
}

// A mark is what the totals were at a time.
type mark struct {
	at      time.Time
	records int64
	refused int64
}

// newMeter returns a meter of a run that begins now.
func newMeter(p *archive.Progress, source archive.Source, now func() time.Time) *meter {
	m := &meter{progress: p, source: source, now: now, began: now(), calls: source.Stats()}
	m.marks[0] = mark{at: m.began, refused: m.calls.Refused}
	m.marks[1] = m.marks[0]
	return m
}

// A reading says how far a run has come, and how fast it is.
type reading struct {
	archive.Totals
	calls, refused int64
	rate           float64       // records a second, in the last seconds
	left           time.Duration // from the windows read since the beginning; 0 for not known
	throttled      bool          // in the last seconds
}

// read returns the reading of now.
func (m *meter) read() reading {
	now, stats := m.now(), m.source.Stats()
	f := reading{Totals: m.progress.Totals(), calls: stats.Calls - m.calls.Calls, refused: stats.Refused - m.calls.Refused}
	if now.Sub(m.marks[1].at) >= meterSpan {
		m.marks[0], m.marks[1] = m.marks[1], mark{now, f.Records(), stats.Refused}
	}
	since := m.marks[0]
	if seconds := now.Sub(since.at).Seconds(); seconds > 0 {
		f.rate = float64(f.Records()-since.records) / seconds
	}
	f.throttled = stats.Refused > since.refused
	if f.Done > 0 && f.Windows > f.Done {
		f.left = time.Duration(float64(now.Sub(m.began)) * float64(f.Windows-f.Done) / float64(f.Done))
	}
	return f
}

// brief writes a number in at most five characters.
func brief(n int64) string {
	for _, unit := range []struct {
		of   int64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		switch v := float64(n) / float64(unit.of); {
		case n < 10_000 || v < 1:
		case v < 99.95:
			return fmt.Sprintf("%.1f%s", v, unit.name)
		default:
			return fmt.Sprintf("%.0f%s", v, unit.name)
		}
	}
	return fmt.Sprint(n)
}

// roughly writes a duration in its two largest units.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}
