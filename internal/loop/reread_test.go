package loop

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

func TestAlong(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 3, 14, hour, 0, 0, 0, time.UTC) }
	span := func(from, to int) archive.Span { return archive.Span{From: at(from), To: at(to)} }
	complete := func(from, to, old, records int) (windows []archive.Complete) {
		for hour := from; hour < to; hour++ {
			windows = append(windows, archive.Complete{Window: at(hour), Records: records, Verify: hour < old})
		}
		return windows
	}
	for name, test := range map[string]struct {
		work     archive.Work
		open     archive.Walk
		want     archive.Span // what is walked
		verified archive.Span
	}{
		"nothing to verify": {open: archive.Walk{Span: span(6, 7)}, want: span(6, 7)},
		"all before is complete": {
			work: archive.Work{Complete: complete(0, 6, 3, 20)}, open: archive.Walk{Span: span(6, 7)},
			want: span(0, 7), verified: span(0, 3),
		},
		"all of it is old": {
			work: archive.Work{Complete: complete(0, 6, 6, 0)}, open: archive.Walk{Span: span(6, 12)},
			want: span(0, 12), verified: span(0, 6),
		},
		"one is younger than those after it": {
			work: archive.Work{Complete: append(complete(0, 2, 1, 0), complete(2, 6, 6, 0)...)}, open: archive.Walk{Span: span(6, 7)},
			want: span(0, 7), verified: span(0, 1),
		},
		"as much as is expected to fit": {
			work: archive.Work{Complete: complete(0, 3, 3, rereadAtMost/4)}, open: archive.Walk{Span: span(3, 4)},
			want: span(0, 4), verified: span(0, 3),
		},
		"more than that": {
			work: archive.Work{Complete: complete(0, 3, 3, rereadAtMost/4+1)}, open: archive.Walk{Span: span(3, 4)},
			want: span(3, 4),
		},
		"an hour between is not complete": {
			work: archive.Work{Complete: append(complete(0, 2, 3, 0), complete(3, 6, 3, 0)...)}, open: archive.Walk{Span: span(6, 7)},
			want: span(6, 7),
		},
		"an hour before the walk is not complete": {
			work: archive.Work{Complete: complete(0, 5, 3, 0)}, open: archive.Walk{Span: span(6, 7)},
			want: span(6, 7),
		},
		"only later ones are complete": {
			work: archive.Work{Complete: complete(7, 9, 9, 0)}, open: archive.Walk{Span: span(6, 7)},
			want: span(6, 7),
		},
		"the walk has begun": {
			work: archive.Work{Complete: complete(0, 6, 3, 0)}, open: archive.Walk{Span: span(6, 7), Cursor: "2", Seen: 500},
			want: span(6, 7),
		},
		"the walk is kept, at its beginning": {
			work: archive.Work{Complete: complete(0, 6, 3, 0), Open: []archive.Walk{{Span: span(6, 7)}}}, open: archive.Walk{Span: span(6, 7)},
			want: span(6, 7),
		},
		"longer than a query": {
			work: archive.Work{Complete: complete(0, 6, 3, 0)}, open: archive.Walk{Span: archive.Span{From: at(6), To: at(6).Add(archive.MaxSpan)}},
			want: archive.Span{From: at(6), To: at(6).Add(archive.MaxSpan)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := rereadBefore(&test.work, &test.open)
			if diff := cmp.Diff(test.want, test.open.Span); diff != "" {
				t.Errorf("walked (-want +got):\n%s", diff)
			}
			if a.verified.Windows() != test.verified.Windows() || a.verified.Windows() > 0 && a.verified != test.verified {
				t.Errorf("verifies %s, want %s", a.verified, test.verified)
			}
		})
	}
}
