// Package serve starts HTTP servers, and has the handlers that say how the
// process is: health, readiness and profiles.
//
//	server.go     a listener, its timeouts, its end
//	limits.go     what one client, and all clients together, may take
//	ready.go      health and readiness
//	profiles.go   net/http/pprof
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Options say what is served, and where.
type Options struct {
	Address string // host:port; empty for any free port of 127.0.0.1
	Handler http.Handler
	Grace   time.Duration // how long Stop waits for requests that are being answered
	Log     *slog.Logger
}

// A Server answers HTTP requests until it is stopped.
type Server struct {
	http  *http.Server
	at    net.Addr
	grace time.Duration
	ended chan struct{}
	err   error // why it ended; read it after ended is closed
}

// Start listens and begins to serve. The context of each request is derived from
// ctx, but the end of ctx does not stop the server.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Address, err)
	}
	return start(ctx, listener, o), nil
}

func start(ctx context.Context, listener net.Listener, o Options) *Server {
	handler := limitBody(o.Handler)
	if at, ok := listener.Addr().(*net.TCPAddr); ok && at.IP.IsLoopback() {
		handler = localOnly(handler)
	}
	s := &Server{
		http: &http.Server{
			Handler: handler, ReadHeaderTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
			MaxHeaderBytes: maxHeader, ConnState: newConnections(maxConnections).changed,
			BaseContext: func(net.Listener) context.Context { return ctx },
			ErrorLog:    slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		},
		at: listener.Addr(), grace: o.Grace, ended: make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.err = fmt.Errorf("serve on %s: %w", s.at, err)
			o.Log.Error("a server ended by itself", "address", s.at.String(), "error", err)
		}
	}()
	return s
}

// URL is the address of the server, such as http://127.0.0.1:8080.
func (s *Server) URL() string { return "http://" + s.at.String() }

// Stop ends the server. Requests that are being answered have the grace period,
// then their connections are closed.
func (s *Server) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // it closes what Shutdown left open
	}
	<-s.ended
}

// Wait stops the server when ctx ends. It returns an error only if the server
// ended before.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		s.Stop()
		return nil
	}
}
