package loop

import (
	"context"
	"testing"
	"time"

	"archiver/internal/archive"
)

// A run writes its progress to the store, and goes on if that fails.
func TestNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	under, goOn := make(chan struct{}), make(chan struct{})
	w.source.before = func(_ context.Context, a ask) error {
		if a.nth == 2 {
			close(under)
			<-goOn
		}
		return nil
	}
	noted := make(chan struct{}, 3)
	w.store.after = func(_ context.Context, op string, nth int) error {
		if op != opNote {
			return nil
		}
		noted <- struct{}{}
		if nth == 1 {
			return errDisk
		}
		return nil
	}
	end := w.start(t.Context(), span(3, 5))
	await(t, "the second page", under)
	note := func() archive.Noted {
		pass(t, w.clock, archive.NoteEvery)
		await(t, "a note", noted)
		w.db.mu.Lock()
		defer w.db.mu.Unlock()
		return w.db.runs[0].noted
	}
	note() // fails
	got := note()
	for late := time.Now().Add(patience); got.Records() == 0 && time.Now().Before(late); {
		got = note() // the first page is kept while the second one is asked for
	}
	if got.Windows != 2 || got.Done != 0 || got.Records() != 10 || got.Calls != 2 {
		t.Errorf("noted: %+v", got)
	}
	close(goOn)
	if ended := await(t, "the run", end); ended.err != nil || ended.summary.Done != 2 {
		t.Errorf("the run ended with %v, %+v", ended.err, ended.summary.Totals)
	}
}
