package loop

import (
	"time"

	"archiver/internal/archive"
)

// smallest is the width of the smallest question: nothing smaller can be asked, since
// sources take whole seconds.
const smallest = time.Second

// A question is what one walk asks for: a function's records from one second to
// another, both included.
type question struct {
	from, to time.Time

	// span is the windows that the answer decides. A part of a window has the window
	// that it is a part of.
	span archive.Span
	part bool

	tries   int  // of a failing call, 0 for the source's own number
	page    bool // a smaller page does not help: the cause lies in the span
	begins  bool // the oldest second of the span is answered: the source does not refuse the begin
	defers  bool // its windows are decided with those of the question that it is a part of
	byPages bool // do not ask for the time up to the last record of a page
}

// questionOf returns the question that decides the windows of a span. It is a second wider
// on both sides: see archive.QueryMargin.
func questionOf(s archive.Span) question {
	return question{from: s.From.Add(-archive.QueryMargin), to: s.To.Add(archive.QueryMargin), span: s}
}

// width is the time from the first to the last second.
func (q question) width() time.Duration { return q.to.Sub(q.from) }

// asked is what is asked for, as a span of seconds.
func (q question) asked() archive.Span { return archive.Span{From: q.from, To: q.to} }

// windows returns how many windows the question decides, 0 for a part of a window.
func (q question) windows() int {
	if q.part {
		return 0
	}
	return q.span.Windows()
}

// narrowest reports whether no smaller question surely asks for the question's middle
// second: the source may exclude both borders.
func (q question) narrowest() bool { return q.width() <= 2*smallest }

// halves divides the question in two. Where it decides several windows, each half
// decides whole windows. Both halves ask for the two seconds of their border: then
// none of their records is lost, whether the source includes borders or not. ok is
// false for the smallest question.
func (q question) halves() (halves [2]question, ok bool) {
	if q.width() <= smallest {
		return halves, false
	}
	older, newer := q, q
	if q.windows() > 1 {
		middle := q.span.From.Add(time.Duration(q.span.Windows()/2) * archive.Hour)
		older.span.To, newer.span.From = middle, middle
		older.to, newer.from = middle, middle.Add(-archive.QueryMargin)
		return [2]question{older, newer}, true
	}
	older.part, newer.part = true, true
	middle := q.from.Add((q.width() + time.Second) / 2).Truncate(time.Second)
	older.to, newer.from = middle, middle.Add(-archive.QueryMargin)
	if !newer.from.After(q.from) {
		newer.from = middle // of two seconds: the halves share one
	}
	return [2]question{older, newer}, true
}

// border asks for the seconds that both halves ask for.
func border(halves [2]question) question {
	return question{from: halves[1].from, to: halves[0].to, part: true, tries: halves[0].tries}
}
