package loop

import (
	"time"

	"archiver/internal/archive"
)

// leastShifted is how many records have to start whole hours outside of what was asked for before a run says
// that the source's clock may be in another zone.
const leastShifted = 10

// sayZone logs once for each function that more than half of the records of a page start
// the same whole number of hours before or after what was asked for: the source filters by
// times of one zone and writes those of another. The records are kept, and counted into
// the windows of their starts.
func (w *walker) sayZone(q question, p *archive.Page) {
	shifted := make(map[time.Duration]int)
	for i := range p.Invocations {
		switch start := p.Invocations[i].Start; {
		case start.IsZero():
		case start.Before(q.from):
			shifted[-(q.from.Sub(start)+archive.Hour-1).Truncate(archive.Hour)]++
		case start.After(q.to):
			shifted[(start.Sub(q.to)+archive.Hour-1).Truncate(archive.Hour)]++
		}
	}
	for hours, n := range shifted {
		if n < leastShifted || 2*n <= p.Len() {
			continue
		}
		w.mu.Lock()
		said := w.zoned[w.function.ID]
		w.zoned[w.function.ID] = true
		w.mu.Unlock()
		if !said {
			w.Log.Warn("records start a whole number of hours outside of what was asked for: is the clock of the source in another zone?",
				"function", w.function.URN, "hours", int(hours/archive.Hour), "records", n,
				"from", q.from.Format(time.RFC3339), "to", q.to.Format(time.RFC3339))
		}
	}
}
