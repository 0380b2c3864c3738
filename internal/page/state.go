package page

import (
	"fmt"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/words"
)

// A state is the state of a window on the map. In addition to the states of the
// table, a complete window may have records in flight, or may be of a time when
// the source kept no records.
type state int

// The states, the worst first. A cell that stands for several windows shows the
// worst of their states.
const (
	failed state = iota
	short
	missed
	notRead
	gone
	expired
	inFlight
	off
	complete
	states
)

// A stateText describes a state.
type stateText struct {
	Class, Name, Meaning string
	Letter               string
}

// stateTexts describes each state. Letter and pattern distinguish the states
// without colour.
var stateTexts = [states]stateText{
	failed:   {"f", "failed", "reading the hour ended with an error; a later run tries again", "F"},
	short:    {"s", "short", "the source counts more records than it returns; the next run tries again", "S"},
	missed:   {"m", "missed", "the source may have forgotten records before the hour was read to its end; what came is kept", "M"},
	notRead:  {"n", "not read", "the hour is due and not completely read, or no run was asked for it", "N"},
	gone:     {"g", "gone", "the function was deleted at the source before the hour was read", "G"},
	expired:  {"e", "expired", "the hour is older than the source keeps records, or it was missed and is acknowledged; what came is kept", "x"},
	inFlight: {"i", "in flight", "complete, but some of its records wait or run; the archiver reads them again", "i"},
	off:      {"o", "off", "the source kept no records: the function's status log was off", "–"},
	complete: {"c", "complete", "every record that the source returned is archived", ""},
}

// A tally counts the windows of a cell by state.
type tally [states]int64

func (t *tally) add(o tally) {
	for s := range o {
		t[s] += o[s]
	}
}

func (t *tally) total() (n int64) {
	for _, windows := range t {
		n += windows
	}
	return n
}

// worst returns the worst state in the tally; states if the tally is empty.
func (t *tally) worst() state {
	for s, n := range t {
		if n > 0 {
			return state(s)
		}
	}
	return states
}

// tallyOf counts a cell's windows by state. Expected windows that do not exist
// count as not read.
func tallyOf(c *read.Cell, expected int64) (t tally) {
	t[failed], t[short], t[gone], t[inFlight], t[off] = c.Failed, c.Short, c.Gone, c.InFlight, c.Off
	t[missed], t[expired] = c.Missed, c.Expired-c.Missed
	t[complete] = c.Complete - c.InFlight - c.Off
	t[notRead] = max(0, max(expected, c.Windows)-c.Failed-c.Short-c.Gone-c.Expired-c.Complete)
	return t
}

// text formats the tally, the worst state first.
func (t *tally) text() string {
	all := t.total()
	if all == 1 {
		return stateTexts[t.worst()].Name
	}
	var parts []string
	for s, n := range t {
		if n > 0 && n == all {
			return fmt.Sprintf("all %s hours %s", words.Number(n), stateTexts[s].Name)
		}
		if n > 0 {
			parts = append(parts, words.Number(n)+" "+stateTexts[s].Name)
		}
	}
	return strings.Join(parts, ", ")
}

// overlapHours counts the hours of [from, to) that are also in [within, until).
func overlapHours(from, to, within, until time.Time) int64 {
	return max(0, int64(minTime(to, until).Sub(maxTime(from, within))/archive.Hour))
}
