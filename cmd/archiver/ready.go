package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"archiver/internal/archive"
)

const (
	// readyEvery is how often the database is asked, however many probe.
	readyEvery = 5 * time.Second
	// pingTimeout is less than what a probe is usually given (5 seconds, in
	// deploy/kubernetes).
	pingTimeout = 3 * time.Second
)

// A readiness answers 200 where the database answers and is migrated. That it
// does not is no reason to restart the process, which waits for it.
type readiness struct {
	ping  func(context.Context) error
	clock archive.Clock
	log   *slog.Logger

	mu  sync.Mutex // held while the database is asked: probes share the answer
	err error
	at  time.Time // when it was asked; zero for never
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := r.check(); err != nil {
		// Why is in the log: whoever may probe need not know where the database is.
		http.Error(w, "the database does not answer, or has no archive in it", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// check is what the database answered at most readyEvery ago. It asks in a
// context of its own: a probe that leaves says nothing of the database.
func (r *readiness) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.clock.Now(); !r.at.IsZero() && now.Sub(r.at) < readyEvery {
		return r.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	before := r.err
	r.err, r.at = r.ping(ctx), r.clock.Now()
	switch {
	case r.err != nil && before == nil:
		r.log.Warn("not ready: the database does not answer", "error", r.err)
	case r.err == nil && before != nil:
		r.log.Info("ready again: the database answers")
	}
	return r.err
}
