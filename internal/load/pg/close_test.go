package pg

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"archiver/internal/pgserver/pgtest"
)

// Close returns soon although the database hangs: the process has ten seconds to end.
func TestCloseOfHanging(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	relay := &relay{to: address.Host, read: make(chan struct{}, 1)}
	address.Host = relay.listen(t)
	db, err := Open(t.Context(), address.String(), 8, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := db.Pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	relay.hanging.Lock()
	t.Cleanup(relay.hanging.Unlock)
	select {
	case <-relay.read: // a read from before
	default:
	}
	asked := make(chan error)
	go func() {
		_, err := conn.Exec(ctx, `SELECT 1`)
		conn.Release()
		asked <- err
	}()
	<-relay.read
	cancel()
	if err := <-asked; err == nil {
		t.Fatal("the database answered: the test shows nothing")
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		db.Close()
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the database is not closed")
	}
}

// A relay passes on what it receives. While it hangs, it passes on nothing.
type relay struct {
	to      string
	hanging sync.RWMutex
	read    chan struct{} // receives a value after each read
}

func (r *relay) listen(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("tcp", r.to)
				if err != nil {
					return
				}
				defer to.Close()
				go r.copy(from, to)
				r.copy(to, from)
			}()
		}
	}()
	return l.Addr().String()
}

func (r *relay) copy(to io.Writer, from io.Reader) {
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		select {
		case r.read <- struct{}{}:
		default:
		}
		r.hanging.RLock()
		_, wrong := to.Write(b[:n])
		r.hanging.RUnlock()
		if err != nil || wrong != nil {
			return
		}
	}
}
