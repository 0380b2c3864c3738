package loop

import (
	"testing"
	"time"

	"archiver/internal/archive"
)

// Where the source gives no counts, what is to be verified is read again, all of
// it at once: no half of it has a count, and what is there is no difference.
func TestVerifyWithoutCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.count = countAbsent
	w.source.records[alpha.URN] = append(many("a", hour(3), 4), many("b", hour(6), 4)...)
	w.complete(span(2, 8))
	late := many("late", hour(5), 1)
	w.source.records[alpha.URN] = append(w.source.records[alpha.URN], late...)

	before := len(w.source.asked())
	o := archive.Order{AskedBy: "run", Range: span(2, 8), Follow: true, VerifyAfter: time.Hour}
	summary, err := w.archiver().Archive(t.Context(), o, new(archive.Progress))
	if err != nil {
		t.Fatal(err)
	}
	w.all()
	// One question for the count, one for the records.
	if asked := w.source.asked()[before:]; len(asked) != 2 || len(summary.Differences) > 0 {
		t.Errorf("asked %+v, differences %+v", asked, summary.Differences)
	}
}
