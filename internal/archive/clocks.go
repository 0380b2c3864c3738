package archive

import (
	"fmt"
	"time"
)

// A ClockedSource is a Source whose answers say what time it is there.
type ClockedSource interface {
	Source
	// Ahead returns how far the source's clock is ahead of this machine's, by the last
	// answer, and the number of this answer, from 1. If the answer does not say, or there
	// was none, the number is 0.
	Ahead() (ahead time.Duration, answer int64)
}

// Ahead returns how far a clock is ahead of this machine's. The clock showed t, rounded
// down to whole steps, at some time between sent and received by this machine's clock. Of
// all differences that fit, Ahead returns the smallest.
func Ahead(t, sent, received time.Time, step time.Duration) time.Duration {
	least, most := t.Sub(received), t.Add(step).Sub(sent)
	switch {
	case least > 0:
		return least
	case most < 0:
		return most
	}
	return 0
}

const (
	// minClockLimit is the smallest difference of two clocks that ends a pass.
	minClockLimit = 2 * time.Minute

	// minClockDoubt is the smallest difference that is worth a word: clocks that are set
	// over a network, and servers that write the Date of an earlier answer, differ by less.
	minClockDoubt = 2 * time.Second
)

// Clocks are what three clocks show at one moment. Database and Source are zero if it is
// not known.
type Clocks struct{ Own, Database, Source time.Time }

// Slowest returns the earliest of the times.
func (c Clocks) Slowest() time.Time {
	slowest := c.Own
	for _, t := range []time.Time{c.Database, c.Source} {
		if !t.IsZero() && t.Before(slowest) {
			slowest = t
		}
	}
	return slowest
}

// Fastest returns the latest of the times.
func (c Clocks) Fastest() time.Time {
	fastest := c.Own
	for _, t := range []time.Time{c.Database, c.Source} {
		if t.After(fastest) {
			fastest = t
		}
	}
	return fastest
}

// Apart returns the difference of the earliest and the latest time.
func (c Clocks) Apart() time.Duration { return c.Fastest().Sub(c.Slowest()) }

// ClockLimit returns the greatest difference of clocks with which a pass can tell which hours
// have ended: settle, and at least two minutes.
func ClockLimit(settle time.Duration) time.Duration { return max(settle, minClockLimit) }

// Check returns a *ClockError if the clocks differ by more than ClockLimit.
func (c Clocks) Check(settle time.Duration) error {
	if limit := ClockLimit(settle); c.Apart() > limit {
		return &ClockError{Clocks: c, Limit: limit}
	}
	return nil
}

// Doubt tells of clocks that differ by more than half of settle, and more than two
// seconds; empty if they do not.
func (c Clocks) Doubt(settle time.Duration) string {
	if c.Apart() <= max(settle/2, minClockDoubt) {
		return ""
	}
	return fmt.Sprintf("clocks differ by %s, more than half of --settle: %s", c.Apart().Round(time.Second), c)
}

func (c Clocks) String() string {
	text := "this machine " + c.Own.UTC().Format(time.RFC3339)
	if !c.Database.IsZero() {
		text += ", the database " + c.Database.UTC().Format(time.RFC3339)
	}
	if !c.Source.IsZero() {
		text += ", the source " + c.Source.UTC().Format(time.RFC3339)
	}
	return text
}

// A ClockError says that clocks differ too much. The pass has read, completed and dropped
// nothing.
type ClockError struct {
	Clocks
	Limit time.Duration
}

func (e *ClockError) Error() string {
	text := fmt.Sprintf("clocks differ by %s, more than %s, and nothing is done until they agree: %s", e.Apart().Round(time.Second), e.Limit, e.Clocks)
	if without := (Clocks{Own: e.Own, Database: e.Database}); without.Apart() <= e.Limit {
		text += " (if the source's Date is wrong, --ignore-clocks)"
	}
	return text
}
