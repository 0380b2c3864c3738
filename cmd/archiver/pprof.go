package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"archiver/internal/extract"
)

// profileGrace is how long the end of a command waits for a profile that is
// being taken: what there is of it is sent.
const profileGrace = 2 * time.Second

// profiles serves net/http/pprof where --pprof asks for it, for as long as the
// command runs. Profiles tell what the process holds in memory and can slow it
// down, so they are for this machine alone.
func (f *archiveFlags) profiles(log *slog.Logger) (stop func(), err error) {
	if f.Pprof == "" {
		return func() {}, nil
	}
	host, _, err := net.SplitHostPort(f.Pprof)
	if err != nil {
		return nil, usagef("--pprof: %w", err)
	}
	if !extract.Loopback(host) {
		return nil, usagef("--pprof: %s is not a loopback address: use one such as 127.0.0.1:6060", f.Pprof)
	}
	listener, err := net.Listen("tcp", f.Pprof)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (set --pprof to another address): %w", f.Pprof, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	base, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: readyTimeout,
		BaseContext: func(net.Listener) context.Context { return base },
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("profiles are no longer served", "error", err)
		}
	}()
	log.Info("profiles are served", "address", "http://"+listener.Addr().String()+"/debug/pprof/")
	return func() {
		cancel() // a profile under way ends, and is sent
		ctx, done := context.WithTimeout(context.Background(), profileGrace)
		defer done()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // whoever still reads has had their time
		}
	}, nil
}
