package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync/atomic"

	"archiver/internal/load/pg"
)

// roundTrips is the number of round trips to PostgreSQL a page, including the
// page's share of claiming its function. It commits the pages of the largest
// functions through a proxy. A round trip begins when the client sends after the
// server has answered.
func (b *bench) roundTrips(ctx context.Context, day []work) (a float64, err error) {
	direct, address, err := b.archive(ctx, "roundtrips", 1)
	if err != nil {
		return 0, err
	}
	defer direct.Close()
	ids, err := storeFunctions(ctx, newStore(direct), day)
	if err != nil {
		return 0, err
	}
	proxied, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	p, err := newProxy(ctx, proxied.Host)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	proxied.Host = p.Addr().String()
	db, err := pg.Open(ctx, proxied.String(), 1, b.log)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	store := newStore(db)
	// The first function is not counted: it opens connections and prepares
	// statements.
	counted, before := 0, int64(-1)
	for _, w := range day {
		if len(w.pages) < loadAtMost/pageSize {
			continue
		}
		if err := commitFunction(ctx, store, ids[w.function.URN], w.pages); err != nil {
			return 0, err
		}
		if before < 0 {
			before = p.trips.Load()
			continue
		}
		counted += len(w.pages)
	}
	if counted == 0 {
		return 0, fmt.Errorf("no two functions have %d records", loadAtMost)
	}
	trips := p.trips.Load() - before
	db.Close()
	return float64(trips) / float64(counted), b.drop(ctx, "roundtrips")
}

// proxy passes connections on and counts round trips.
type proxy struct {
	net.Listener
	server string
	trips  atomic.Int64 // how often a client sent after the server had
}

func newProxy(ctx context.Context, server string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{Listener: listener, server: server}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the listener was closed
			}
			go p.pass(ctx, client)
		}
	}()
	return p, nil
}

// pass copies between client and server until either closes.
func (p *proxy) pass(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.server)
	if err != nil {
		return // the client's connection is closed
	}
	defer server.Close()
	var answered atomic.Bool
	go func() {
		defer client.Close()
		_, _ = io.Copy(noticed{client, func() { answered.Store(true) }}, server) // its error ends the connection
	}()
	_, _ = io.Copy(noticed{server, func() {
		if answered.Swap(false) {
			p.trips.Add(1)
		}
	}}, client)
}

// noticed calls before for each write.
type noticed struct {
	to     io.Writer
	before func()
}

func (n noticed) Write(b []byte) (int, error) {
	n.before()
	return n.to.Write(b)
}
