package loop

import (
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
)

// A position is where in a question a walk goes on.
type position struct {
	cursor archive.Cursor
	newest bool // the newest records come first
	short  *shorter
}

// newestFirst begins the cursor of a checkpoint if the newest records come first.
const newestFirst = "~newest "

// checkpoint returns the cursor of a checkpoint.
func (p position) checkpoint() archive.Cursor {
	if p.newest {
		return newestFirst + p.cursor
	}
	return p.cursor
}

// positionOf reads the cursor of a checkpoint.
func positionOf(c archive.Cursor) position {
	cursor, newest := strings.CutPrefix(string(c), newestFirst)
	return position{cursor: archive.Cursor(cursor), newest: newest}
}

// A shorter is a question for the time up to the last record of the first page of a
// question. It proves the count of that question at no cost: it is asked in place of the
// second page, and its own count must be smaller by the records that it does not ask for.
// A source that cuts its counts off gives the same count again.
type shorter struct {
	to     time.Time // the last second asked for
	before int       // records of the first page that it does not ask for
	newer  []string  // ids of these that it does not ask for in any case
	border []string  // ids of these that it asks for if the source includes borders
	last   bool      // the first page was the last one
}

// shorten returns the shorter question. ok is false if the page does not have the newest
// records first, or if all of them start in one second.
func shorten(q question, p *archive.Page) (s shorter, ok bool) {
	n := len(p.Invocations)
	if n == 0 || len(p.Rejected) > 0 || p.Lists > 0 {
		return s, false
	}
	last := p.Invocations[n-1].Start.Truncate(time.Second)
	s.to = last.Add(archive.QueryMargin)
	for i := range p.Invocations {
		start := p.Invocations[i].Start
		if start.IsZero() || i > 0 && start.After(p.Invocations[i-1].Start) {
			return s, false
		}
		switch second := start.Truncate(time.Second); {
		case second.After(s.to):
			s.before++
			s.newer = append(s.newer, p.Invocations[i].RequestID)
		case second.After(last):
			s.before++
			s.border = append(s.border, p.Invocations[i].RequestID)
		}
	}
	return s, s.before > len(s.border) && !last.Before(q.from) && s.to.Before(q.to)
}

// resolve returns how many records of the first page the shorter question does not ask
// for, as its own page p shows. ok is false if the source's counts do not differ by them, or
// if the page has one of them: then the list is not sorted by the starts.
func (s *shorter) resolve(whole int, p *archive.Page) (before int, ok bool) {
	before = s.before
	for i := range p.Invocations {
		if slices.Contains(s.newer, p.Invocations[i].RequestID) {
			return 0, false
		}
		if slices.Contains(s.border, p.Invocations[i].RequestID) {
			before--
		}
	}
	return before, p.Count >= 0 && whole-p.Count == before
}
