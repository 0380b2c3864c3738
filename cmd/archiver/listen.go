package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/metrics"
)

// readyTimeout bounds what a page of ours asks of the database.
const readyTimeout = 5 * time.Second

// listen serves health, metrics and status. It only reads.
//
//	/healthz  200 as long as the process answers
//	/readyz   200 where the database answers and is migrated, else 503
//	/metrics  what the process does and the archive comes to, for Prometheus
//	/         the status page
func listen(address string, store *load.Store, page http.Handler, m *metrics.Metrics, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (set --listen to another address): %w", address, err)
	}
	server := &http.Server{Handler: pages(store, page, m, log), ReadHeaderTimeout: readyTimeout}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health and status are no longer served", "error", err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // whoever still reads has had a second
		}
	}, nil
}

func pages(store *load.Store, page http.Handler, m *metrics.Metrics, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /readyz", &readiness{ping: store.Ping, clock: archive.SystemClock{}, log: log})
	mux.Handle("GET /metrics", m.Handler(log))
	mux.Handle("GET /{$}", page)
	return mux
}
