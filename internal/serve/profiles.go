package serve

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"
)

// profileGrace is how long the end of a command waits for a profile to be sent.
const profileGrace = 2 * time.Second

// Profiles serves net/http/pprof on an address until stop is called. A profile
// that is being taken then ends early and is still sent. Profiles tell what the
// process holds in memory, and taking one can slow the process down: the address
// must be a loopback address.
func Profiles(address string, log *slog.Logger) (stop func(), err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	ctx, cancel := context.WithCancel(context.Background())
	server, err := Start(ctx, Options{Address: address, Handler: mux, Grace: profileGrace, Log: log})
	if err != nil {
		cancel()
		return nil, err
	}
	log.Info("profiles are served", "address", server.URL()+"/debug/pprof/")
	return func() {
		cancel()
		server.Stop()
	}, nil
}
