package serve

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
	// readyEvery is the least time between two questions to the database. Probes
	// in between get the last answer.
	readyEvery = 5 * time.Second

	// PingTimeout bounds a question to the database. It is less than the timeout
	// of a probe (5 seconds in deploy/kubernetes).
	PingTimeout = 3 * time.Second
)

// Health answers 200 while the process answers at all.
func Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
}

// Ready answers 200 if ping returns no error, else 503. A database that does not
// answer is no reason to restart the process: the process waits for it.
func Ready(ping func(context.Context) error, clock archive.Clock, log *slog.Logger) http.Handler {
	return &readiness{ping: ping, clock: clock, log: log}
}

type readiness struct {
	ping  func(context.Context) error
	clock archive.Clock
	log   *slog.Logger

	mu  sync.Mutex // held during a ping: concurrent probes wait for its answer
	err error
	at  time.Time // of the last ping; zero for none yet
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := r.check(); err != nil {
		// The cause is in the log. It names the database, which a probe need not know.
		http.Error(w, "the database does not answer, or has no archive in it", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// check returns the answer of the last ping, at most readyEvery old. The ping has
// a context of its own: a probe that hangs up says nothing about the database.
func (r *readiness) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.clock.Now(); !r.at.IsZero() && now.Sub(r.at) < readyEvery {
		return r.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), PingTimeout)
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
