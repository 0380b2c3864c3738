package loop

import (
	"context"

	"archiver/internal/archive"
)

// noteProgress writes the run's progress to the store every NoteEvery, until stop is
// called. before are the source's call counts when the run began. An error is
// ignored: the next note, or the end of the run, writes the same numbers.
func (r *run) noteProgress(ctx context.Context, id archive.RunID, before archive.SourceStats) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for r.Clock.Sleep(ctx, archive.NoteEvery) == nil {
			now := r.Source.Stats()
			_ = r.Store.NoteRun(ctx, id, archive.Noted{
				Totals: r.progress.Totals(), Calls: now.Calls - before.Calls, Refused: now.Refused - before.Refused,
			}, r.Clock.Now())
		}
	}()
	return func() { cancel(); <-ended }
}
