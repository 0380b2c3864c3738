package serve

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// A server listens on a loopback address unless another one is given, lets a
// request that is being answered end, and then no longer answers.
func TestServer(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	finish := make(chan struct{})
	s, err := Start(t.Context(), Options{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-finish
			_, _ = io.WriteString(w, "whole")
		}),
		Grace: PingTimeout, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
		t.Errorf("it listens on %s", s.URL())
	}
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get(s.URL())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	<-begun
	stopped := make(chan struct{})
	s.http.RegisterOnShutdown(func() { close(stopped) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	waited := make(chan error, 1)
	go func() { waited <- s.Wait(ctx) }()
	<-stopped
	close(finish)
	if got := <-answered; got != "whole" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if resp, err := http.Get(s.URL()); err == nil {
		_ = resp.Body.Close()
		t.Error("it answers after its end")
	}
}

// What cannot be listened on is told with its address.
func TestServerAddress(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Address: "127.0.0.1:no-such-port", Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:no-such-port") {
		t.Error(err)
	}
}
