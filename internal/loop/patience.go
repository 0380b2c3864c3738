package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"archiver/internal/archive"
)

const (
	// A try after a trouble of the store waits as long as the trouble has lasted, within
	// these limits.
	minTroublePause = 100 * time.Millisecond
	maxTroublePause = 30 * time.Second

	// A run that has come further than before a trouble, and met none for as long, has left
	// the trouble behind.
	troubleLeft = time.Minute

	// A run whose rounds reach the same again comes no further if a trouble meets a round
	// earlier than the one before. If it met none for as long, this is another trouble; so
	// often at most.
	maxEarlier = 3
)

// A storePatience is how a run waits for a store that is in trouble. All that work for the
// run share it. The trouble begins with the first call that fails, and ends when what failed
// has succeeded: that other calls succeed does not end it.
type storePatience struct {
	*Archiver
	run *run // nil while it is not begun

	mu     sync.Mutex
	since  time.Time      // when the trouble began; zero if there is none
	end    time.Time      // when the patience is over
	last   time.Time      // when a call failed last
	failed map[int32]bool // functions whose commits failed and have not succeeded since; 0 for the run's own calls
	round  bool           // a round of the run failed, and none has succeeded since
	over   bool

	earlier int // see maxEarlier
}

func newStorePatience(a *Archiver) *storePatience {
	return &storePatience{Archiver: a, failed: make(map[int32]bool)}
}

// wait waits before a call is tried again that failed. It returns the error if trying again
// does not help, or if the patience is over.
func (p *storePatience) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil || p.DatabasePatience == nil || !p.isTrouble(err) {
		return err
	}
	pause, err := p.pause(err)
	if err != nil {
		return err
	}
	return p.Clock.Sleep(ctx, pause)
}

func (p *storePatience) pause(err error) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Clock.Now()
	if p.round && now.Sub(p.last) > troubleLeft {
		switch {
		case !p.stuck() && p.run.further():
			p.left(now)
		case p.run.earlier() && p.earlier < maxEarlier:
			p.earlier++
			p.left(now)
		}
	}
	if p.last = now; p.since.IsZero() {
		p.since, p.end = now, p.DatabasePatience(now)
		p.Log.Warn("the database is in trouble, the run waits", append([]any{"seconds", p.end.Sub(now).Seconds()}, archive.ErrorKeys(err)...)...)
	}
	lasted := now.Sub(p.since)
	pause := min(max(lasted, minTroublePause), maxTroublePause)
	if p.over = p.over || !now.Before(p.end); p.over {
		return 0, fmt.Errorf("the database has been in trouble for %s: %w", lasted.Round(time.Second), err)
	}
	return min(pause, p.end.Sub(now)), nil
}

// left notes that the trouble is over. mu is held.
func (p *storePatience) left(now time.Time) {
	if !p.since.IsZero() {
		p.Log.Info("the database works again", "seconds", now.Sub(p.since).Seconds())
		p.since = time.Time{}
	}
	p.round = false
}

// fail and succeed note how a call for a function ended, or 0 for one of the run.
func (p *storePatience) fail(function int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed[function] = true
}

func (p *storePatience) succeed(function int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.failed[function] {
		return
	}
	if delete(p.failed, function); !p.round && !p.stuck() {
		p.left(p.Clock.Now())
	}
}

// stuck reports whether something failed that is still to be done: a commit whose answer
// was lost may have been made. mu is held.
func (p *storePatience) stuck() bool {
	for function := range p.failed {
		if function == 0 || p.run.waits(function) {
			return true
		}
	}
	return false
}

// roundEnded notes how a round of the run ended.
func (p *storePatience) roundEnded(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.round = err != nil; err == nil {
		clear(p.failed)
		p.left(p.Clock.Now())
	}
}

func (a *Archiver) isTrouble(err error) bool {
	return a.Store.Trouble(err) != archive.NoTrouble || errors.Is(err, errOtherServer)
}

// Patiently makes a call of the store, after a run that ended with an error, until it
// succeeds or the patience with the store is over. The call may be made twice. If the store
// was in trouble when the run ended, the run has had its patience: the call is made once.
func (a *Archiver) Patiently(ctx context.Context, ended error, call func() error) error {
	if a.isTrouble(ended) {
		return call()
	}
	return newStorePatience(a).until(ctx, call)
}

// until makes a call of the store until it succeeds. The call may be made twice.
func (p *storePatience) until(ctx context.Context, call func() error) error {
	err := call()
	if err == nil {
		return nil
	}
	p.fail(0)
	for err != nil {
		if err := p.wait(ctx, err); err != nil {
			return err
		}
		err = call()
	}
	p.succeed(0)
	return nil
}

// errOtherServer is the trouble of a round that more than one server has answered.
var errOtherServer = errors.New("another server answers than at the beginning, which may lack what was committed last")

// readPatiently reads what is due. If the store loses an answer, or another server
// answers in the end, it may lack what this run has committed last: then the run begins
// again with what the store has, as the run after a crash does.
func (r *run) readPatiently(ctx context.Context, summary *archive.Summary) error {
	for {
		r.roundFrom = r.reached()
		server, err := r.Store.Server(ctx)
		if err == nil {
			err = r.onServer(ctx, server, r.readAll(ctx, summary))
		}
		r.patience.roundEnded(err)
		if err == nil {
			return nil
		}
		if err := r.patience.wait(ctx, err); err != nil {
			return err
		}
		r.startOver(summary)
	}
}

// onServer returns how a round ended that began with a server. What a standby lacks can be
// missing with any error, or with none.
func (r *run) onServer(ctx context.Context, server string, ended error) error {
	if ended != nil && (ctx.Err() != nil || r.Store.Trouble(ended) != archive.NoTrouble) {
		return ended
	}
	now, err := r.Store.Server(ctx)
	if err == nil && now != server {
		return errors.Join(errOtherServer, ended)
	}
	return cmp.Or(ended, err)
}

// waits reports whether a function has something left to do in this round.
func (r *run) waits(function int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.planned[function] && !r.done[function]
}

// reached is how far the run has come: what it has decided for good and added. What a round
// that repeats another one adds says nothing: the other one has added most of it.
func (r *run) reached() int64 {
	t := r.progress.Totals()
	switch {
	case r.order.Compare:
		return t.Compared
	case r.order.Force:
		return t.Done - t.Short - t.Failed
	}
	return t.Done - t.Short - t.Failed + t.Inserted
}

// further reports whether this round has come further than all before it.
func (r *run) further() bool { return r.reached()-r.roundFrom > r.longestRound }

// earlier reports whether this round has come less far than one before that it repeats.
func (r *run) earlier() bool { return r.repeats() && r.reached()-r.roundFrom < r.longestRound }

// repeats reports whether each round reaches the same again.
func (r *run) repeats() bool { return r.order.Force || r.order.Compare }

// readAll makes one pass over what is due. Unless the clocks agree, it changes nothing.
func (r *run) readAll(ctx context.Context, summary *archive.Summary) error {
	err := r.read(ctx, summary)
	if !r.compared {
		return err
	}
	if kept := r.keepLearned(ctx); err == nil {
		err = kept
	}
	return err
}

// startOver forgets what this run knows of the store, which may lack functions, planned
// windows and lessons too. Windows that are not decided for good are counted again; those
// that were lost are counted twice.
func (r *run) startOver(summary *archive.Summary) {
	if r.repeats() {
		r.longestRound = max(r.longestRound, r.reached()-r.roundFrom)
	}
	clear(r.planned)
	clear(r.decided)
	clear(r.done)
	clear(r.gaveUp)
	clear(r.deniedFunctions)
	r.failures, r.differences, r.settingsDue = nil, nil, nil
	r.progress.Update(func(p *archive.Totals) {
		r.functionsBefore, r.windowsBefore = max(r.functionsBefore, p.Functions), max(r.windowsBefore, p.Windows)
		p.Done -= p.Short + p.Failed
		p.Short, p.Failed, p.Throttled, p.Left = 0, 0, 0, 0
		p.Compared, p.Differ, p.Missing = 0, 0, 0
		p.Functions, p.Windows = 0, p.Done
	})
	summary.List, summary.Waiting = nil, 0
}
