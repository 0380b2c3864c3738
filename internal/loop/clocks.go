package loop

import (
	"context"
	"fmt"
	"time"

	"archiver/internal/archive"
)

// A steadyClock shows no jump of the machine's clock since it began: Go's times also have
// a monotonic reading, and Sub uses it.
type steadyClock struct {
	archive.Clock
	began time.Time
}

func (c steadyClock) Now() time.Time { return c.began.Add(c.Clock.Now().Sub(c.began)) }

// Clocks reads the clocks of this machine, the store and the source. The source's clock is
// that of its last answer.
func (a *Archiver) Clocks(ctx context.Context) (archive.Clocks, error) {
	return a.clocks(ctx, a.Clock, 0)
}

// clocks reads the clocks. An answer of the source up to the given number is left out.
func (a *Archiver) clocks(ctx context.Context, own archive.Clock, old int64) (c archive.Clocks, err error) {
	var ahead time.Duration
	if a.StoreAhead != nil {
		if ahead, err = a.StoreAhead(ctx, own); err != nil {
			return c, fmt.Errorf("read the clock of the archive: %w", err)
		}
	}
	c.Own = own.Now()
	if a.StoreAhead != nil {
		c.Database = c.Own.Add(ahead)
	}
	if source, ok := a.Source.(archive.ClockedSource); ok && !a.IgnoreClocks {
		if ahead, answer := source.Ahead(); answer > old {
			c.Source = c.Own.Add(ahead)
		}
	}
	return c, nil
}

// lastDated returns the number of the source's last answer that says what time it is.
func (a *Archiver) lastDated() (answer int64) {
	if source, ok := a.Source.(archive.ClockedSource); ok {
		_, answer = source.Ahead()
	}
	return answer
}

// soon is how long a run waits for the slowest clock to say that an hour has ended: clocks
// that are set over a network differ by less. Without the wait, such a difference would put
// the hour off until the next run.
const soon = 10 * time.Second

// compareClocks compares the clocks once, after the source's first answer, before the run has
// changed anything but its own row. A window has ended only when the slowest clock says so.
// What a run with a clock ahead has left is reset only if the source says what time it is:
// the database's clock may be this machine's, and behind.
func (r *run) compareClocks(ctx context.Context, summary *archive.Summary) error {
	if r.compared {
		return nil
	}
	c, err := r.clocks(ctx, r.wall, r.dated)
	if err != nil {
		return err
	}
	// If the machine's clock was set back since the run began, the run's clock is still wrong.
	c.Own = latest(c.Own, r.Clock.Now())
	summary.Apart = c.Apart()
	if err := c.Check(r.Settle); err != nil {
		return err
	}
	r.mu.Lock()
	r.compared, r.doubt = true, c.Doubt(r.Settle)
	r.mu.Unlock()
	if summary.Doubt = r.doubt; r.doubt != "" {
		r.Log.Warn("clocks differ by more than half of settle", "seconds", c.Apart().Seconds(), "clocks", c.String())
	}
	if !c.Source.IsZero() {
		if err := r.Store.ResetFuture(ctx, r.Source.ID(), c.Fastest(), archive.ClockLimit(r.Settle)); err != nil {
			return err
		}
	}
	switch late := r.order.Range.To.Add(r.Settle).Sub(c.Slowest()); {
	case late <= 0:
		return nil
	case late <= soon:
		return r.Clock.Sleep(ctx, late)
	}
	r.order.Range.To = archive.DueBefore(c.Slowest(), r.Settle)
	if r.order.Range.To.Before(r.order.Range.From) {
		r.order.Range.From = r.order.Range.To
	}
	// The range of run and once is what is due. A range that somebody asked for stays.
	if r.order.Older {
		summary.Range = r.order.Range
	}
	return nil
}

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
