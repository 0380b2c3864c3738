package loop

import (
	"slices"
	"sync"

	"archiver/internal/archive"
)

// A forecast is how many calls a run has yet to make, as far as the source's counts tell. It
// keeps the sums in the progress of the run.
type forecast struct {
	progress *archive.Progress

	mu        sync.Mutex
	functions map[int32]*outlook
}

// An outlook is what is yet to be read of one function.
type outlook struct {
	spans   []expected
	page    int // records of a page
	records int // that the source has counted so far,
	hours   int // in so many windows

	calls   int // in the forecast's sums
	unknown int
}

// An expected is a span that is to be read.
type expected struct {
	archive.Span
	windows int    // of the span; what is planned need not be adjacent
	known   bool   // its first page has come, with a count
	records int    // if known: the count
	calls   int    // if known: yet to come
	of      *count // if not known: the count of the span that this one was cut from
	silent  bool   // its pages have no count
}

// A count is what remains of the count of a span that was cut: of the pieces that are not
// known.
type count struct{ records, windows int }

func newForecast(p *archive.Progress) *forecast {
	return &forecast{progress: p, functions: make(map[int32]*outlook)}
}

// unsure notes, until settled is called, that more functions may come.
func (f *forecast) unsure() (settled func()) {
	add := func(n int64) { f.progress.Foresee(func(p *archive.Forecast) { p.Unknown += n }) }
	add(1)
	return sync.OnceFunc(func() { add(-1) })
}

// expect adds calls that are not for pages of windows. A negative number takes those away that
// were made.
func (f *forecast) expect(calls int) {
	f.progress.Foresee(func(p *archive.Forecast) { p.Coming += int64(calls) })
}

// change changes the outlook of a function, and with it the sums. Only a function that was
// planned has an outlook.
func (f *forecast) change(function int32, change func(o *outlook)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.functions[function]
	if o == nil {
		return
	}
	change(o)
	calls, unknown := o.calls, o.unknown
	o.sum()
	f.progress.Foresee(func(p *archive.Forecast) {
		p.Coming += int64(o.calls - calls)
		p.Unknown += int64(o.unknown - unknown)
	})
}

// plan notes what is due of a function before it is claimed.
func (f *forecast) plan(d *archive.Due, page int) {
	f.mu.Lock()
	if f.functions[d.ID] == nil {
		f.functions[d.ID] = &outlook{page: page}
	}
	f.mu.Unlock()
	f.change(d.ID, func(o *outlook) {
		o.spans = []expected{{Span: archive.Span{From: d.Oldest, To: d.Oldest}, windows: d.Windows}}
	})
}

// begin notes which walks of a function are to be made. What is known of their spans stays.
func (f *forecast) begin(function int32, walks []archive.Walk) {
	f.change(function, func(o *outlook) {
		before := o.spans
		o.spans = make([]expected, 0, len(walks))
		for _, open := range walks {
			e := expected{Span: open.Span, windows: open.Span.Windows()}
			switch i := slices.IndexFunc(before, func(b expected) bool { return b.Span == open.Span }); {
			case i >= 0:
				e = before[i]
			case open.Cursor != "" && open.Count >= 0:
				e.records = open.Count
				o.know(&e, open.Seen)
			}
			o.spans = append(o.spans, e)
		}
	})
}

// took notes a page of so many records at most. seen are the records of the question up to it.
func (f *forecast) took(function int32, q question, counted, seen, page int, last bool) {
	f.change(function, func(o *outlook) {
		i := slices.IndexFunc(o.spans, func(e expected) bool { return e.Overlaps(q.span) })
		if i < 0 {
			return
		}
		o.page = page
		e := &o.spans[i]
		switch {
		case q.decides() && counted < 0:
			e.known, e.silent = false, true
		case q.decides():
			e.records = counted
			o.know(e, seen)
		case e.known: // a part of it, or its halves
			e.calls = max(e.calls-1, 0)
		}
		if last && q.decides() && !e.silent { // else it may be read a second time
			e.calls = 0
		}
	})
}

// know notes the count of a span, of which so many records have been read.
func (o *outlook) know(e *expected, seen int) {
	if !e.known {
		o.records, o.hours = o.records+e.records, o.hours+e.windows
		if e.of != nil {
			e.of.records, e.of.windows = max(e.of.records-e.records, 0), e.of.windows-e.windows
		}
	}
	e.known, e.calls = true, pagesOf(e.records-seen, o.page)
}

// cut notes that a span is read in pieces.
func (f *forecast) cut(function int32, s archive.Span, pieces []archive.Span) {
	f.change(function, func(o *outlook) {
		i := slices.IndexFunc(o.spans, func(e expected) bool { return e.Span == s })
		if i < 0 {
			return
		}
		whole := o.spans[i]
		of := whole.of
		if whole.known {
			of = &count{whole.records, whole.windows}
			o.records, o.hours = o.records-whole.records, o.hours-whole.windows // the pieces are counted themselves
		}
		o.spans = slices.Delete(o.spans, i, i+1)
		for _, piece := range pieces {
			o.spans = append(o.spans, expected{Span: piece, windows: piece.Windows(), of: of})
		}
	})
}

// decided notes that nothing is left of a span.
func (f *forecast) decided(function int32, s archive.Span) {
	f.change(function, func(o *outlook) {
		o.spans = slices.DeleteFunc(o.spans, func(e expected) bool { return e.Overlaps(s) })
	})
}

// ended notes that nothing is left of a function.
func (f *forecast) ended(function int32) {
	f.change(function, func(o *outlook) { o.spans = nil })
}

// sum adds up what is left. How many calls a function takes is not known before its first page,
// nor if the source does not count.
func (o *outlook) sum() {
	o.calls, o.unknown = 0, 0
	for i := range o.spans {
		e := &o.spans[i]
		calls := e.calls
		switch {
		case e.known:
		case e.of != nil && e.of.windows > 0:
			calls = pagesOf(e.of.records*e.windows/e.of.windows, o.page)
		case o.hours > 0:
			calls = pagesOf(o.records*e.windows/o.hours, o.page)
		default:
			calls = max((e.windows+mostWindows-1)/mostWindows, 1)
			o.unknown = 1
		}
		if e.silent {
			o.unknown = 1
		}
		o.calls += calls
	}
}

// mostWindows is how many windows one question asks for at most.
const mostWindows = int(archive.MaxSpan / archive.Hour)

// pagesOf returns how many pages so many records fill, at least one.
func pagesOf(records, page int) int {
	page = max(page, 1)
	return max((records+page-1)/page, 1)
}
