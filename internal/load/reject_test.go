package load

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

const rejects = `
	SELECT f.function_name, r.window_start AT TIME ZONE 'UTC', r.reason, r.payload, r.rejected_at AT TIME ZONE 'UTC'
	  FROM rejected_records r JOIN functions f USING (function_id)
	 ORDER BY r.rejected_id`

// What no row can hold is set aside once a function, however often it is read,
// and stays where it was found first.
func TestRejectOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	first, second := a.newClaim("first"), a.newClaim("second")
	s := hours(today, 2)
	rejected := []archive.Rejected{
		{Reason: "not an object", Payload: []byte(`7`)},
		{Reason: "request_id is empty", Payload: []byte(`{"request_id":""}`), Start: today.Add(90 * time.Minute)},
		{Reason: "not an object", Payload: []byte(`7`)},
	}
	b := page(s, noted, record("r", archive.StatusSuccess, today))
	b.Rejected = rejected
	if kept, want := commit(t, first, b), (archive.Kept{Inserted: 1, Rejected: 2}); kept != want {
		t.Errorf("kept %+v, want %+v", kept, want)
	}
	// Again, and by a span that would count the first one elsewhere.
	for _, span := range []archive.Span{s, hours(today.Add(archive.Hour), 1)} {
		b := lastPage(span, later)
		b.Rejected = rejected
		if kept := commit(t, first, b); kept != (archive.Kept{}) {
			t.Errorf("kept again %+v", kept)
		}
	}
	b = lastPage(s, later)
	b.Rejected = rejected[:1]
	if kept, want := commit(t, second, b), (archive.Kept{Rejected: 1}); kept != want {
		t.Errorf("another function's: kept %+v, want %+v", kept, want)
	}
	want := []string{
		`(first,"2026-03-14 01:00:00","not an object",7,"2026-03-20 08:00:00")`,
		`(first,"2026-03-14 01:00:00","request_id is empty","{""request_id"":""""}","2026-03-20 08:00:00")`,
		`(second,"2026-03-14 01:00:00","not an object",7,"2026-03-20 09:00:00")`,
	}
	if diff := cmp.Diff(want, a.Rows(rejects)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.CheckWindows()
}

func TestRejectPayloads(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	for name, test := range map[string]struct{ payload, want string }{
		"empty":         {"", ""},
		"NUL":           {nul + "a" + nul, "�a�"},
		"broken UTF-8":  {"a\xffb\xc3", "a�b�"},
		"half an emoji": {"\xed\xa0\xbd", "�"},
		"a megabyte":    {strings.Repeat("é"+nul, 1<<19), strings.Repeat("é�", 1<<19)},
	} {
		t.Run(name, func(t *testing.T) {
			b := page(hours(today, 1), noted)
			b.Rejected = []archive.Rejected{{Reason: name, Payload: []byte(test.payload)}}
			for _, want := range []int{1, 0} {
				if kept := commit(t, c, b); kept.Rejected != want {
					t.Errorf("%d kept, want %d", kept.Rejected, want)
				}
			}
			if got := value[string](a.in(t), `SELECT payload FROM rejected_records WHERE reason = $1`, name); got != test.want {
				t.Errorf("kept %.40q (%d bytes), want %.40q (%d bytes)", got, len(got), test.want, len(test.want))
			}
		})
	}
	a.CheckWindows()
}
