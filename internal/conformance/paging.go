package conformance

import (
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
)

// sizes returns lengths of lists: empty, one short page, full pages, one record more or
// less.
func (s *Suite) sizes() []int {
	p := s.PageSize
	return []int{0, 1, p - 1, p, p + 1, 2*p - 1, 2 * p, 2*p + 1, 4*p + 3}
}

// Every record of a list is read, with every combination of counts and markers. Finding
// the end takes at most one call more than the pages.
func (s *Suite) paging(t *testing.T) {
	for i := range s.Ways {
		way := &s.Ways[i]
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			for _, n := range s.sizes() {
				w := s.open(t, way)
				w.cloud.records = spread("r", noon, n)
				pages, err := read(t.Context(), w.source, w.hour())
				if err != nil {
					t.Errorf("%d records: %v", n, err)
					continue
				}
				checkRecords(t, pages, w.cloud.records)
				if most := int64(max(1, (n+s.PageSize-1)/s.PageSize) + 1); !way.Overlaps && w.calls.Load() > most {
					t.Errorf("%d calls for %d records", w.calls.Load(), n)
				}
				for i := range pages {
					if pages[i].Len() > s.PageSize {
						t.Errorf("page %d of %d records: PageSize is %d", i, pages[i].Len(), s.PageSize)
					}
					if way.Counts && pages[i].Count != n {
						t.Errorf("page %d counts %d of %d records", i, pages[i].Count, n)
					}
				}
			}
			if !way.ShortPages {
				return
			}
			// Each page has fewer records than the source asked for.
			w := s.open(t, way)
			w.cloud.records, w.cloud.most = spread("r", noon, 3*s.PageSize+1), s.PageSize-1
			pages, err := read(t.Context(), w.source, w.hour())
			if err != nil {
				t.Error(err)
			}
			checkRecords(t, pages, w.cloud.records)
		})
	}
	t.Run("limit", func(t *testing.T) {
		t.Parallel()
		w := s.open(t, s.plain())
		w.cloud.records = spread("r", noon, s.PageSize)
		q := w.hour()
		q.Limit = 1
		for page, err := range w.source.Pages(t.Context(), q) {
			if err != nil || page.Len() != 1 || page.Last {
				t.Errorf("%d records of one asked for, last: %t, %v", page.Len(), page.Last, err)
			}
			break
		}
	})
	t.Run("question", s.question)
}

// question checks which query reaches the cloud.
func (s *Suite) question(t *testing.T) {
	t.Parallel()
	w := s.open(t, s.plain())
	w.cloud.records = spread("r", noon, s.PageSize)
	q := w.hour()
	// The time zone of From and To makes no difference.
	q.From, q.To = q.From.In(time.FixedZone("", 8*3600)), q.To.In(time.FixedZone("", -3*3600))
	pages, err := read(t.Context(), w.source, q)
	if err != nil {
		t.Fatal(err)
	}
	checkRecords(t, pages, w.cloud.records)
	for _, asked := range w.cloud.questions() {
		if asked.Function != q.Function.URN || !asked.From.Equal(q.From) || !asked.To.Equal(q.To) {
			t.Errorf("asked for %+v", asked)
		}
	}
	q.RequestID = w.cloud.records[1].ID
	pages, err = read(t.Context(), w.source, q)
	if err != nil {
		t.Fatal(err)
	}
	checkRecords(t, pages, w.cloud.records[1:2])
}

// A list that never ends is not read for ever. The source gives an error, or a last
// page whose count says that records are missing.
func (s *Suite) endless(t *testing.T) {
	for i := range s.Ways {
		way := &s.Ways[i]
		for _, stuck := range []string{"page", "marker"} {
			t.Run(way.Name+"/"+stuck, func(t *testing.T) {
				t.Parallel()
				w := s.open(t, way)
				w.cloud.records, w.cloud.stuck = spread("r", noon, 4*s.PageSize), stuck
				seen, last := make(map[string]bool), archive.Page{}
				for page, err := range w.source.Pages(t.Context(), w.hour()) {
					if w.calls.Load() > 20 {
						t.Fatalf("no end after %d calls", w.calls.Load())
					}
					if err != nil {
						s.checkError(t, err)
						return
					}
					for i := range page.Invocations {
						seen[page.Invocations[i].RequestID] = true
					}
					last = page
				}
				if last.Count <= len(seen) {
					t.Errorf("ended with %d records, %d counted, as if that were all", len(seen), last.Count)
				}
			})
		}
	}
}

// A list can be resumed from the cursor after each of its pages.
func (s *Suite) cursors(t *testing.T) {
	for i := range s.Ways {
		way := &s.Ways[i]
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			w := s.open(t, way)
			w.cloud.records = spread("r", noon, 3*s.PageSize+2)
			pages, err := read(t.Context(), w.source, w.hour())
			if err != nil {
				t.Fatal(err)
			}
			for i := range pages {
				if pages[i].Last {
					continue
				}
				q := w.hour()
				q.Cursor = pages[i].Next
				if q.Cursor == "" {
					t.Fatalf("page %d of %d leaves no cursor", i, len(pages))
				}
				// Another process resumes the list.
				rest, err := read(t.Context(), w.again(t), q)
				if err != nil {
					t.Fatalf("from page %d on: %v", i, err)
				}
				checkRecords(t, slices.Concat(pages[:i+1], rest), w.cloud.records)
				if n := len(ids(rest)); !way.Overlaps && n > len(w.cloud.records)-len(ids(pages[:i+1])) {
					t.Errorf("%d records follow page %d: some come again", n, i)
				}
			}
			if offsets, ok := w.source.(archive.Offsets); ok {
				s.offsets(t, w, offsets)
			}
		})
	}
}

// The pages from an offset on have all records but the first ones, with pages of any size.
func (s *Suite) offsets(t *testing.T, w *world, source archive.Offsets) {
	t.Helper()
	first := w.hour()
	for offset := range len(w.cloud.records) {
		q := w.hour()
		q.Cursor, q.Limit = source.CursorAt(offset), 1+offset%s.PageSize
		rest, err := read(t.Context(), w.source, q)
		if err != nil {
			t.Fatalf("from record %d on: %v", offset, err)
		}
		if n := len(ids(rest)); n != len(w.cloud.records)-offset {
			t.Errorf("%d of %d records from record %d on", n, len(w.cloud.records), offset)
		}
		first.Cursor, first.Limit = source.CursorAt(offset), 1
		for page, err := range w.source.Pages(t.Context(), first) {
			if err != nil || len(page.Invocations) != 1 || !slices.Contains(ids(rest[:1]), page.Invocations[0].RequestID) {
				t.Errorf("record %d alone: %d records, %v", offset, len(page.Invocations), err)
			}
			break
		}
	}
}

// Asking for pages ahead of their turn gives the same pages with as many calls.
func (s *Suite) ahead(t *testing.T) {
	for i := range s.Ways {
		way := &s.Ways[i]
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			w := s.open(t, way)
			w.cloud.records = spread("r", noon, 6*s.PageSize+2)
			want, err := read(t.Context(), w.source, w.hour())
			if err != nil {
				t.Fatal(err)
			}
			plain := w.calls.Swap(0)
			const most = 3
			asked := 0
			q := w.hour()
			q.Ahead = func() bool {
				if asked == most {
					return false
				}
				asked++
				return true
			}
			var pages []archive.Page
			for page, err := range w.source.Pages(t.Context(), q) {
				if err != nil {
					t.Fatal(err)
				}
				if page.Ahead > asked {
					t.Errorf("%d pages are ahead, of %d that were let", page.Ahead, asked)
				}
				asked = page.Ahead
				pages = append(pages, page)
			}
			checkRecords(t, pages, w.cloud.records)
			if len(pages) != len(want) || w.calls.Load() != plain {
				t.Errorf("%d pages by %d calls, %d by %d one after the other", len(pages), w.calls.Load(), len(want), plain)
			}
			if n := w.underWay.Load(); n != 0 {
				t.Errorf("%d calls are left under way", n)
			}
		})
	}
}
