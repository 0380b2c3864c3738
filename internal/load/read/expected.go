package read

import (
	"time"

	"archiver/internal/archive"
)

// Wanted is the standing of a function whose hours are expected: see functions.standing.
const Wanted = "wanted"

// An Expectation says which hours of the functions of a source are to be archived by now.
type Expectation struct {
	Now       time.Time
	Retention time.Duration // how long the source is assumed to keep records
	Ignored   bool          // the source was given up: no hour is expected
	Every     time.Duration // how often passes come; 0 if there was none: nothing is expected after the last planned hour
}

// settles is how long after its end an hour is to be read at the latest, if a pass begins
// then: it settles, and is read.
const settles = time.Hour

// Hours returns the hours in which a function should have windows: from the first planned
// hour to the last planned one or, if passes come, to the last one that a pass should have
// read. A function that has been empty for long rests: until the end of the rest, no hours
// are expected after the last planned hour.
func (e Expectation) Hours(f *Function) (from, to time.Time) {
	if f.PlannedFrom == nil {
		return from, to
	}
	from, to = e.plannedFrom(f), f.PlannedTo.UTC()
	if e.Every == 0 {
		return from, to
	}
	due := e.Now.Add(-settles - e.Every).Truncate(archive.Hour)
	if f.RestsUntil != nil && due.Before(*f.RestsUntil) {
		return from, to
	}
	for _, end := range []*time.Time{f.GoneAt, f.MissingSince, f.ExcludedSince, f.IgnoredAt} {
		if end != nil && end.Before(due) {
			due = end.Truncate(archive.Hour)
		}
	}
	if due.After(to) {
		to = due.UTC()
	}
	return from, to
}

// plannedFrom returns the first planned hour of a function. The source may have forgotten
// earlier hours before it first listed the function: of these, only hours with records have
// windows.
func (e Expectation) plannedFrom(f *Function) time.Time {
	from := f.FirstSeen.UTC().Add(-e.Retention).Truncate(archive.Hour)
	if planned := f.PlannedFrom.UTC(); planned.After(from) {
		from = planned
	}
	if to := f.PlannedTo.UTC(); to.Before(from) {
		from = to
	}
	return from
}

// Missing returns the number of due hours of a function that are not archived, and the first
// of them. It also counts due hours that are not planned yet. Of a function that is not
// wanted, none is missing.
func (e Expectation) Missing(f *Function) (hours int64, first time.Time) {
	if f.Standing != Wanted || e.Ignored {
		return 0, time.Time{}
	}
	hours = f.Open
	if f.OpenSince != nil {
		first = f.OpenSince.UTC()
	}
	if _, to := e.Hours(f); f.PlannedTo != nil && f.PlannedTo.Before(to) {
		hours += int64(to.Sub(*f.PlannedTo) / archive.Hour)
		if first.IsZero() {
			first = f.PlannedTo.UTC()
		}
	}
	return hours, first
}

// NeverRequested counts the hours between the first and the last planned hour for which no
// run was ever asked. They exist after a backfill of a time long ago, or after a pause longer
// than the lookback. No run reads them by itself.
func (e Expectation) NeverRequested(f *Function) int64 {
	if f.PlannedFrom == nil || f.Standing != Wanted {
		return 0
	}
	return max(0, int64(f.PlannedTo.Sub(e.plannedFrom(f))/archive.Hour)-f.Windows)
}
