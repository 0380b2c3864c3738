package page

import (
	"fmt"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// A state is what a cell of the map says. Short and failed are the windows' own;
// a complete window may have records in flight, or be of a time when the source
// kept none.
type state int

// The states, the worst first: a cell that stands for many windows shows the
// worst of them.
const (
	failed state = iota
	short
	notRead
	gone
	inFlight
	off
	complete
	states
)

// A word is how a state is told.
type word struct {
	Class, Name, Means string
	Letter             string
}

// words are those of all states. The letter, and a pattern, say the same as the
// colour.
var words = [states]word{
	failed:   {"f", "failed", "reading the hour ended with an error; the next run tries again", "F"},
	short:    {"s", "short", "the source counts more records than it gives; the next run tries again", "S"},
	notRead:  {"n", "not read", "the hour is due and has not been read to its end, or lies between others and was never asked for", "N"},
	gone:     {"g", "gone", "the function was deleted at the source before the hour was read", "G"},
	inFlight: {"i", "in flight", "complete, and some of its records wait or run: they are asked for again", "i"},
	off:      {"o", "off", "the source kept no records: the function's status log was off", "–"},
	complete: {"c", "complete", "every record that the source gave is archived", ""},
}

// A tally is how many windows of a cell are in which state.
type tally [states]int64

func (t *tally) add(o tally) {
	for s := range o {
		t[s] += o[s]
	}
}

func (t *tally) all() (n int64) {
	for _, windows := range t {
		n += windows
	}
	return n
}

// worst is the worst state that is there.
func (t *tally) worst() state {
	for s, n := range t {
		if n > 0 {
			return state(s)
		}
	}
	return states
}

// tallyOf sorts a cell's windows by state. So many of them were to be expected:
// what is missing was not read.
func tallyOf(c *read.Cell, expected int64) (t tally) {
	t[failed], t[short], t[gone], t[inFlight], t[off] = c.Failed, c.Short, c.Gone, c.InFlight, c.Off
	t[complete] = c.Complete - c.InFlight - c.Off
	t[notRead] = max(0, max(expected, c.Windows)-c.Failed-c.Short-c.Gone-c.Complete)
	return t
}

// words are the tally in words, the worst first.
func (t *tally) words() string {
	all := t.all()
	if all == 1 {
		return words[t.worst()].Name
	}
	var parts []string
	for s, n := range t {
		if n > 0 && n == all {
			return fmt.Sprintf("all %s hours %s", number(n), words[s].Name)
		}
		if n > 0 {
			parts = append(parts, number(n)+" "+words[s].Name)
		}
	}
	return strings.Join(parts, ", ")
}

// settled is how long after its end an hour is expected to have been read: it
// settles, and the hourly schedule comes round.
const settled = 2 * time.Hour

// expected are the hours of a function that have to have windows: from the first
// one planned to the last, or, where archiving goes on, to now. While run leaves
// it alone, as one that has been empty for long, none are expected after the last.
func expected(f *read.FunctionTotals, now time.Time, goesOn bool) (from, to time.Time) {
	if f.PlannedFrom == nil {
		return from, to
	}
	to = f.PlannedTo.UTC()
	if goesOn {
		due := now.Add(-settled).Truncate(archive.Hour)
		if f.RestsUntil != nil && due.Before(*f.RestsUntil) {
			return f.PlannedFrom.UTC(), to
		}
		to = later(to, due)
		if f.GoneAt != nil {
			to = later(f.PlannedTo.UTC(), earlier(to, f.GoneAt.Truncate(archive.Hour)))
		}
	}
	return f.PlannedFrom.UTC(), to
}

// neverAsked is how many hours between a function's first one planned and the last
// nobody planned: a backfill was of a time long ago, or archiving stood still for
// longer than a run looks back. No run comes to them by itself.
func neverAsked(f *read.FunctionTotals) int64 {
	if f.PlannedFrom == nil {
		return 0
	}
	return max(0, int64(f.PlannedTo.Sub(*f.PlannedFrom)/archive.Hour)-f.Windows)
}

// hoursIn is how many hours of a span [from, to) lie in another one.
func hoursIn(from, to, within, until time.Time) int64 {
	return max(0, int64(earlier(to, until).Sub(later(from, within))/archive.Hour))
}
