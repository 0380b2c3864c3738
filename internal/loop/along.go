package loop

import (
	"archiver/internal/archive"
)

// alongAtMost is how many records a walk may be expected to give with what is
// read again on its way: few enough for one page of most sources.
const alongAtMost = 400

// An again is what a walk reads again on its way, before what it is for.
type again struct {
	archive.Span
	verified archive.Span // its first windows, those old enough to be verified by that
}

// along makes a walk that has not begun start where windows are to be verified
// soon, if all between there and the walk is complete and holds so little that
// one page is expected to hold it as well. To read them again is to compare
// them record by record, and costs no call of its own: a steady run makes one
// call an hour for a function with little to do.
func along(w *archive.Work, open *archive.Walk) (a again) {
	if len(w.Complete) == 0 || open.Cursor != "" || open.Seen > 0 {
		return a
	}
	for i := range w.Open {
		if w.Open[i].Span == open.Span {
			return a // it is kept under where it begins
		}
	}
	a.From = w.Complete[0].Window
	a.To, a.verified = a.From, archive.Span{From: a.From, To: a.From}
	records := 0
	for _, c := range w.Complete {
		if !c.Window.Equal(a.To) || !c.Window.Before(open.Span.From) {
			break
		}
		a.To = a.To.Add(archive.Hour)
		records += c.Records
		if c.Verify && a.verified.To.Equal(c.Window) {
			a.verified.To = a.To
		}
	}
	all := archive.Span{From: a.From, To: open.Span.To}
	// What is new is expected to be as busy as what is known.
	if !a.To.Equal(open.Span.From) || all.To.Sub(all.From) > archive.MaxSpan ||
		records*all.Windows() > alongAtMost*a.Windows() {
		return again{}
	}
	open.Span = all
	return a
}
