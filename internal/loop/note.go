package loop

import (
	"context"

	"archiver/internal/archive"
)

// notes has the run's progress noted until the function it returns is called.
// before is what the source had made of calls when the run began. A note that
// fails is made up for by the next one, and by the run's end.
func (r *run) notes(ctx context.Context, id archive.RunID, before archive.SourceStats) (stop func()) {
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
