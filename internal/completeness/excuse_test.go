package completeness

import (
	"fmt"
	"slices"
	"time"

	"archiver/internal/archive"
)

// judge checks a window that is not complete at the end of a history: what the service
// does excuses this, and the window says why.
func (f *function) judge(w window) (problems []string) {
	excuse := f.excuse(w)
	if excuse == "" {
		problems = append(problems, fmt.Sprintf("%s is %s, and nothing keeps it from being complete: %s", f.at(w.at), w.state, w.why))
	}
	switch archive.State(w.state) {
	case archive.StateFailed, archive.StateShort, archive.StateExpired:
		if w.why == "" {
			problems = append(problems, fmt.Sprintf("%s is %s for no reason", f.at(w.at), w.state))
		}
	default:
	}
	if w.state != string(archive.StateFailed) || excuse != poisonedSecond && excuse != poisonedRecord {
		return problems
	}
	// The smallest question that fails is one of the poison.
	poison := slices.Clone(f.poisoned)
	for _, r := range f.records {
		if r.poisoned {
			poison = append(poison, r.first, f.filed(r))
		}
	}
	named := slices.ContainsFunc(poison, func(at time.Time) bool {
		return !at.Before(w.refused.From) && !at.After(w.refused.To)
	})
	width := w.refused.To.Sub(w.refused.From)
	// The calls of all runs may not suffice to narrow it where other calls fail as well.
	stopped := f.limits.ceiling+f.limits.size > 0 && !w.refused.From.IsZero() && width <= archive.Hour+margin
	if (!named || width > 2*time.Second) && !stopped {
		problems = append(problems, fmt.Sprintf("%s failed at %s and names %s to %s: %s", f.at(w.at), excuse,
			w.refused.From.Format(time.DateTime), w.refused.To.Format(time.DateTime), w.why))
	}
	return problems
}

// The excuses of a window that is not complete.
const (
	denied         = "denied"
	unlisted       = "unlisted"
	poisonedSecond = "poisoned second"
	poisonedRecord = "poisoned record"
	old            = "old"
	crowded        = "crowded"
	fewer          = "fewer records"
)

// margin is by how much a question may reach beyond a window.
const margin = 2 * time.Second

// excuse returns why a window need not be complete at the end of a history, or an empty
// text.
func (f *function) excuse(w window) string {
	reach := archive.Span{From: w.at.Add(-margin), To: w.at.Add(archive.Hour + margin)}
	if f.denial.in(passes - 1) {
		return denied
	}
	if l := f.limits.list; l.most > 0 && l.until > passes {
		return unlisted
	}
	if w.state == string(archive.StateExpired) && w.at.Add(f.certain()).Before(f.readable()) {
		return old
	}
	for _, second := range f.poisoned {
		if reach.Holds(second) {
			return poisonedSecond
		}
	}
	if w.state == string(archive.StateExpired) && (f.reading.inFlight || f.reading.drift == vanishing || f.reading.drift == moving) {
		return fewer // records have left the hour: it looks half forgotten
	}
	for _, r := range f.records {
		if r.poisoned && (reach.Holds(r.first) || reach.Holds(f.filed(r))) {
			return poisonedRecord
		}
	}
	for _, r := range f.records {
		if at := f.filed(r); reach.Holds(at) && f.crowded(at) {
			return crowded
		}
	}
	return ""
}

// readable is the first time when the service surely answers, and has answered all calls
// of a run.
func (f *function) readable() time.Time {
	pass := calmFrom
	if f.denial.in(0) || f.denial.from > 0 && f.denial.status != 0 {
		pass = max(pass, f.denial.until)
	}
	if l := f.limits.list; l.most > 0 {
		pass = max(pass, l.until)
	}
	return passAt(min(pass, passes) + 1)
}

// certain is how long the archiver may be certain that the service keeps a record.
func (f *function) certain() time.Duration {
	const believed = 3 * 24 * time.Hour // without proof
	certain := min(believed, f.limits.believed)
	if f.limits.retention > 0 {
		certain = min(certain, f.limits.retention)
	}
	return certain
}

// crowded reports whether a question of one second that has this time may have as many
// records as a page or as a list. Then nothing smaller can be asked.
func (f *function) crowded(at time.Time) bool {
	page := f.reading.page
	for begin := at.Add(-time.Second); !begin.After(at); begin = begin.Add(time.Second) {
		n := 0
		for _, r := range f.records {
			if t := f.filed(r); !t.Before(begin) && !t.After(begin.Add(time.Second)) {
				n++
			}
		}
		if n >= page {
			return true
		}
	}
	return false
}

// reachable reports whether the archive must have the record at the end of a history,
// also if its window is not complete.
func (f *function) reachable(r *record) bool {
	at := f.filed(r)
	return f.denial.status == 0 && f.limits.list.most == 0 && !r.poisoned && !r.late && f.answersAt(at) && f.answersAt(r.first) &&
		!at.Add(f.certain()).Before(f.readable())
}

// answersAt reports whether the service answers questions of a few seconds around this
// time with all their records.
func (f *function) answersAt(at time.Time) bool {
	return !f.crowded(at) && !slices.ContainsFunc(f.poisoned, func(second time.Time) bool { return second.Sub(at).Abs() <= margin })
}

// movedUnread reports whether the record has moved before the archive read it. Its hour of
// now may have been complete before.
func (f *function) movedUnread(r *record) bool { return !f.filed(r).Equal(r.first) && r.unread }
