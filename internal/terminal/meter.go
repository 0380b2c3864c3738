package terminal

import (
	"fmt"
	"time"

	"archiver/internal/archive"
)

const (
	// meterSpan bounds the time that a rate is measured over: from one meterSpan to
	// two. That is short enough to show a change, and long enough to be read.
	meterSpan = 5 * time.Second

	// paceSpan does so for the pace of calls, which tells the time left.
	paceSpan = 10 * time.Second
)

// A meter computes rates from the totals of a run.
type meter struct {
	progress *archive.Progress
	source   archive.Source
	now      func() time.Time
	began    time.Time
	calls    archive.SourceStats // before the run
	marks    [2]mark             // the rate is measured from the first; the second replaces it after meterSpan
	paces    [2]mark             // of calls, in the same way
	ending   time.Time           // when all calls were made, zero before
	after    time.Duration       // how long what follows takes, as it was expected then
}

// A mark is what the totals were at a time.
type mark struct {
	at      time.Time
	records int64
	refused int64
	calls   int64
}

// newMeter returns a meter of a run that begins now.
func newMeter(p *archive.Progress, source archive.Source, now func() time.Time) *meter {
	m := &meter{progress: p, source: source, now: now, began: now(), calls: source.Stats()}
	m.marks[0] = mark{at: m.began, refused: m.calls.Refused}
	m.marks[1] = m.marks[0]
	m.paces[0], m.paces[1] = mark{at: m.began}, mark{at: m.began}
	return m
}

// A reading says how far a run has come, and how fast it is.
type reading struct {
	archive.Totals
	archive.Forecast
	calls, refused int64
	answered       int64
	rate           float64       // records a second, in the last seconds
	left           time.Duration // whole seconds, at least one
	atLeast        bool          // what is left is not known yet: it is at least so much
	throttled      bool          // in the last seconds
}

// read returns the reading of now.
func (m *meter) read() reading {
	now, stats := m.now(), m.source.Stats()
	f := reading{Totals: m.progress.Totals(), Forecast: m.progress.Forecast(), calls: stats.Calls - m.calls.Calls, refused: stats.Refused - m.calls.Refused, answered: stats.Answered - m.calls.Answered}
	if now.Sub(m.marks[1].at) >= meterSpan {
		m.marks[0], m.marks[1] = m.marks[1], mark{at: now, records: f.Records(), refused: stats.Refused}
	}
	since := m.marks[0]
	if seconds := now.Sub(since.at).Seconds(); seconds > 0 {
		f.rate = float64(f.Records()-since.records) / seconds
	}
	f.throttled = stats.Refused > since.refused
	f.left, f.atLeast = m.timeLeft(&f, now)
	f.left = (f.left + time.Second - 1).Truncate(time.Second)
	return f
}

// timeLeft tells how long the run still takes: the calls that are left, at the pace of the last
// seconds, and what follows them. It is at least so long before all functions have told how
// many calls they take, and when what follows takes longer than expected.
func (m *meter) timeLeft(f *reading, now time.Time) (left time.Duration, atLeast bool) {
	if f.ends() {
		if m.ending.IsZero() {
			m.ending, m.after = now, f.follows(0)
		}
		left = m.after - now.Sub(m.ending)
		return max(left, time.Second), left <= 0
	}
	calls := max(f.Coming, 0)
	if f.answered == 0 {
		return time.Second, true
	}
	if now.Sub(m.paces[1].at) >= paceSpan {
		m.paces[0], m.paces[1] = m.paces[1], mark{at: now, calls: f.answered}
	}
	since := m.paces[0]
	made, took := f.answered-since.calls, now.Sub(since.at)
	if made <= 0 {
		made, took = f.answered, now.Sub(m.began) // none lately: the mean of the whole run
	}
	left = time.Duration(float64(took)*float64(calls)/float64(made)) + f.follows(calls)
	return max(left, time.Second), f.Unknown > 0
}

// ends reports whether all calls have been made, and what follows them has begun.
func (f *reading) ends() bool { return f.FigureDays > 0 || f.Months > 0 || f.Finishing }

// What follows the calls, for each record, in parts of the time that its commit takes. Of a day,
// and of all days, PostgreSQL looks at a sample for its statistics.
const (
	figuresPart   = 0.35
	dayPart       = 0.5
	allDaysPart   = 0.8
	sampleRecords = 30_000
)

// follows tells how long what follows the calls takes, if so many calls are left.
func (f *reading) follows(calls int64) time.Duration {
	known := float64(f.Records())
	if f.Days == 0 || known == 0 {
		return 0
	}
	all := known * (1 + float64(calls)/float64(max(f.answered, 1)))
	days := float64(f.Days)
	parts := figuresPart*all + dayPart*days*min(all/days, sampleRecords) + allDaysPart*min(all, sampleRecords)
	return time.Duration(float64(f.Writing) / known * parts)
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

// leftText writes how long a run still takes.
func (f *reading) leftText() string {
	if f.atLeast {
		return "at least " + roughly(f.left) + " left"
	}
	return roughly(f.left) + " left"
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
