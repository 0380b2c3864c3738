package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener gives a server the ends of pipes, which synctest knows.
type pipeListener struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.connections:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { close(l.closed); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6060} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.connections <- server
	return client
}

// Each way to keep a connection open without using it ends in time, and a request that
// takes long does not.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	const get = "GET / HTTP/1.1\r\nHost: 127.0.0.1:6060\r\n\r\n"
	for name, c := range map[string]struct {
		sends string
		reads bool
		most  time.Duration
	}{
		"nothing is sent":              {"", true, headerTimeout},
		"half a head":                  {"GET / HTTP/1.1\r\nHost:", true, headerTimeout},
		"no second request":            {get, true, idleTimeout},
		"no body":                      {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", true, bodyTimeout},
		"no end of a body":             {"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", true, bodyTimeout},
		"the answer is not read":       {get, false, writeTimeout},
		"the answer is not read twice": {"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n" + get, false, writeTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &pipeListener{connections: make(chan net.Conn), closed: make(chan struct{})}
				s := start(t.Context(), l, Options{Log: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
				defer s.Stop()
				conn, began := l.dial(), time.Now()
				defer conn.Close()
				go func() { _, _ = io.WriteString(conn, c.sends) }()
				if !c.reads {
					<-time.After(2 * writeTimeout)
					_ = conn.SetReadDeadline(time.Now())
					if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
						t.Errorf("it is open after %s: %v", time.Since(began), err)
					}
					return
				}
				_, _ = io.Copy(io.Discard, conn)
				// After an answer, net/http waits for half a second before it closes.
				if took := time.Since(began); took > c.most+time.Second {
					t.Errorf("it is open for %s", took)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{connections: make(chan net.Conn), closed: make(chan struct{})}
		s := start(t.Context(), l, Options{Log: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				t.Error("the request ended by itself")
			case <-time.After(writeTimeout / 2):
			}
		})})
		defer s.Stop()
		conn := l.dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, get)
		if answer := make([]byte, 12); true {
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 200" {
				t.Errorf("after half a minute: %q, %v", answer, err)
			}
		}
	})
}

// Of many connections the server keeps maxConnections. It closes those that have waited
// longest, so that a new client is answered.
func TestConnections(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Options{Log: slog.New(slog.DiscardHandler), Handler: Health()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	const more = 50
	var open []net.Conn
	for range maxConnections + more {
		c, err := net.Dial("tcp", s.at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	for _, c := range open[:more] {
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	c, err := net.Dial("tcp", s.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if answer := make([]byte, 12); true {
		if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 200" {
			t.Errorf("%q, %v", answer, err)
		}
	}
}

// A server on a loopback address answers under the names of this machine alone. Profiles
// are on such an address.
func TestHost(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:0"
	s, err := Start(t.Context(), Options{Address: address, Log: slog.New(slog.DiscardHandler), Handler: Health()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	open, err := Start(t.Context(), Options{Address: ":0", Log: slog.New(slog.DiscardHandler), Handler: Health()})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	_, port, _ := net.SplitHostPort(open.at.String())
	for host, want := range map[string]int{
		s.at.String(): http.StatusOK, "localhost": http.StatusOK, "localhost:16060": http.StatusOK, "[::1]:6060": http.StatusOK, "[::1]": http.StatusOK,
		"attacker.example": http.StatusMisdirectedRequest, "attacker.example:6060": http.StatusMisdirectedRequest, "localhost.attacker.example": http.StatusMisdirectedRequest,
		"127.0.0.1.nip.io": http.StatusMisdirectedRequest, "192.0.2.1:6060": http.StatusMisdirectedRequest, "0.0.0.0": http.StatusMisdirectedRequest,
	} {
		if got := status(t, s.URL(), host); got != want {
			t.Errorf("Host %s: %d, want %d", host, got, want)
		}
		if got := status(t, "http://127.0.0.1:"+port, host); got != http.StatusOK {
			t.Errorf("Host %s on all addresses: %d", host, got)
		}
	}
}

func status(t *testing.T, url, host string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
