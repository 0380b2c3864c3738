package archive

import (
	"context"
	"time"
)

// NoteEvery is how often a run notes how far it has come: often enough to watch
// it from elsewhere, and next to nothing beside what it does.
const NoteEvery = 5 * time.Second

// DeadAfter is how long after its last note a run without an end is taken for
// one whose process died.
const DeadAfter = time.Minute

// A Noted is how far a run has come.
type Noted struct {
	Totals
	Calls   int64 // made to the source in this run
	Refused int64 // of these, answered with "too many"
}

// notes has the run's progress noted until the function it returns is called.
// before is what the source had made of calls when the run began. A note that
// fails is made up for by the next one, and by the run's end.
func (r *run) notes(ctx context.Context, id RunID, before SourceStats) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for r.Clock.Sleep(ctx, NoteEvery) == nil {
			now := r.Source.Stats()
			_ = r.Store.NoteRun(ctx, id, Noted{
				Totals: r.progress.Totals(), Calls: now.Calls - before.Calls, Refused: now.Refused - before.Refused,
			}, r.Clock.Now())
		}
	}()
	return func() { cancel(); <-ended }
}
