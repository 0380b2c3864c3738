package loop

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"archiver/internal/archive"
)

// A position is where in a question a walk goes on.
type position struct {
	cursor archive.Cursor
	to     time.Time // the last second asked for, if a proof has shortened the question; else zero
	before int       // records that the page before gave, and the shortened question does not ask for
	border int       // of these, those that it asks for if the source includes borders; 0 once that is known
	newest bool      // the newest records come first
}

// marked begins a checkpoint's cursor that has more than the source's cursor.
const marked = "~"

// checkpoint returns the cursor of a checkpoint. It is the source's own cursor if the
// position has nothing else.
func (p position) checkpoint() archive.Cursor {
	if p.to.IsZero() && !p.newest {
		return p.cursor
	}
	v := url.Values{"cursor": {string(p.cursor)}}
	if !p.to.IsZero() {
		v.Set("to", strconv.FormatInt(p.to.Unix(), 10))
		v.Set("before", strconv.Itoa(p.before))
		v.Set("border", strconv.Itoa(p.border))
	}
	if p.newest {
		v.Set("newest", "true")
	}
	return archive.Cursor(marked + v.Encode())
}

// positionOf reads the cursor of a checkpoint. ok is false if it cannot be read.
func positionOf(c archive.Cursor) (p position, ok bool) {
	text, found := strings.CutPrefix(string(c), marked)
	if !found {
		return position{cursor: c}, true
	}
	v, err := url.ParseQuery(text)
	if err != nil {
		return p, false
	}
	p.cursor, p.newest = archive.Cursor(v.Get("cursor")), v.Get("newest") != ""
	if v.Has("to") {
		seconds, err := strconv.ParseInt(v.Get("to"), 10, 64)
		if err != nil {
			return p, false
		}
		if p.before, err = strconv.Atoi(v.Get("before")); err != nil {
			return p, false
		}
		if p.border, err = strconv.Atoi(v.Get("border")); err != nil {
			return p, false
		}
		p.to = time.Unix(seconds, 0).UTC()
	}
	return p, true
}

// shorten returns the position from which the count of a question is proven at no cost:
// the question for the time up to the last record of its first page. Its count must be
// smaller by the records that it does not ask for. A source that cuts its counts off
// gives the same count again.
//
// ok is false if the page does not have the newest records first, or if all of them
// start in one second.
func shorten(q question, p *archive.Page) (at position, again int, ok bool) {
	n := len(p.Invocations)
	if n == 0 || len(p.Rejected) > 0 || p.Lists > 0 {
		return at, 0, false
	}
	last := p.Invocations[n-1].Start.Truncate(time.Second)
	at.to = last.Add(archive.QueryMargin)
	for i := range p.Invocations {
		start := p.Invocations[i].Start
		if start.IsZero() || i > 0 && start.After(p.Invocations[i-1].Start) {
			return at, 0, false
		}
		switch second := start.Truncate(time.Second); {
		case second.After(at.to):
			at.before++
		case second.After(last):
			at.before++
			at.border++
		}
	}
	return at, n - at.before, at.before > at.border && !last.Before(q.from) && at.to.Before(q.to)
}

// resolve finds out how many records of the page before the shortened question does not
// ask for. ok is false if the source's counts do not differ by them.
func (p position) resolve(whole, rest int) (resolved position, ok bool) {
	if whole < 0 || rest < 0 || whole-rest != p.before && whole-rest != p.before-p.border {
		return p, false
	}
	p.before, p.border = whole-rest, 0
	return p, true
}
