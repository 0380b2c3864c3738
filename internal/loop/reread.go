package loop

import "archiver/internal/archive"

// rereadAtMost is the largest number of records that a walk and the windows that it
// reads again are expected to give. One page of most sources holds as many.
const rereadAtMost = 400

// A reread is the complete windows before a walk that the walk reads again.
type reread struct {
	archive.Span
	verified archive.Span // the first of the windows: old enough that reading them again verifies them
}

// rereadBefore makes a walk that has not begun start at the windows that have to be
// verified soon, if all windows up to the walk are complete and one page is
// expected to hold them too. Reading them again compares them record by record and
// costs no extra call: a run makes one call an hour for a quiet function.
func rereadBefore(w *archive.Work, open *archive.Walk) (a reread) {
	if len(w.Complete) == 0 || open.Cursor != "" || open.Seen > 0 {
		return a
	}
	for i := range w.Open {
		if w.Open[i].Span == open.Span {
			return a // the store knows the walk by its beginning
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
	// The new windows are expected to hold as many records as the known ones.
	if !a.To.Equal(open.Span.From) || all.To.Sub(all.From) > archive.MaxSpan ||
		records*all.Windows() > rereadAtMost*a.Windows() {
		return reread{}
	}
	open.Span = all
	return a
}
