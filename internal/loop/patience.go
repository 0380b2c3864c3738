package loop

import (
	"context"
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

	// A run that has worked for as long after a trouble has left it behind.
	troubleLeft = time.Minute
)

// A storePatience is how a run waits for a store that is in trouble. All that work for the
// run share it.
type storePatience struct {
	*Archiver
	mu    sync.Mutex
	since time.Time // when the trouble began; zero if there is none
	end   time.Time // when the patience is over
	over  bool
}

// wait waits before what failed is tried again. It returns the error if trying again does
// not help, or if the patience is over.
func (p *storePatience) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil || p.DatabasePatience == nil || p.Store.Trouble(err) == archive.NoTrouble {
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
	if p.since.IsZero() {
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

// succeeded notes that the store does its work.
func (p *storePatience) succeeded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.since.IsZero() {
		p.Log.Info("the database works again", "seconds", p.Clock.Now().Sub(p.since).Seconds())
		p.since = time.Time{}
	}
}

// Patiently makes a call of the store, after a run, until it succeeds or the patience with
// the store is over. The call may be made twice.
func (a *Archiver) Patiently(ctx context.Context, call func() error) error {
	return (&storePatience{Archiver: a}).until(ctx, call)
}

// until makes a call of the store until it succeeds. The call may be made twice.
func (p *storePatience) until(ctx context.Context, call func() error) error {
	for {
		err := call()
		if err == nil {
			return nil
		}
		if err := p.wait(ctx, err); err != nil {
			return err
		}
	}
}

// readPatiently reads what is due. If the store loses an answer, or another server
// answers in the end, it may lack what this run has committed last: then the run begins
// again with what the store has, as the run after a crash does.
func (r *run) readPatiently(ctx context.Context, summary *archive.Summary) error {
	for {
		began := r.Clock.Now()
		server, err := r.Store.Server(ctx)
		if err == nil {
			err = r.readAll(ctx, summary)
		}
		if r.Clock.Now().Sub(began) > troubleLeft {
			r.patience.succeeded()
		}
		if err == nil {
			var now string
			if now, err = r.Store.Server(ctx); err == nil && now == server {
				r.patience.succeeded()
				return nil
			}
		}
		if err != nil {
			if err := r.patience.wait(ctx, err); err != nil {
				return err
			}
		}
		r.startOver(summary)
	}
}

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

// startOver forgets what this run knows of the store. Windows that are not decided for
// good are counted again; those that were lost are counted twice.
func (r *run) startOver(summary *archive.Summary) {
	clear(r.decided)
	clear(r.done)
	clear(r.gaveUp)
	clear(r.deniedFunctions)
	r.failures, r.differences = nil, nil
	r.progress.Update(func(p *archive.Totals) {
		p.Done -= p.Short + p.Failed
		p.Short, p.Failed, p.Throttled, p.Left = 0, 0, 0, 0
		p.Compared, p.Differ, p.Missing = 0, 0, 0
	})
	summary.List = nil
}
