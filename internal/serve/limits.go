package serve

import (
	"container/list"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"archiver/internal/extract"
)

// What a client may take.
const (
	headerTimeout = 10 * time.Second // to send the head of a request
	bodyTimeout   = 10 * time.Second // to send the body
	writeTimeout  = time.Minute      // from the head until the answer is received; net/http/pprof adds the length of a profile
	idleTimeout   = 30 * time.Second // between two requests

	maxHeader      = 16 << 10 // bytes
	maxBody        = 1 << 20  // bytes
	maxConnections = 256      // of all clients
)

// limitBody bounds the time and the size of a request's body. http.Server.ReadTimeout would
// also end the context of a request without a body, such as that of a long profile.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// The deadline also bounds how long net/http drains a body that next does not read.
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
				http.Error(w, "the body cannot be read in time", http.StatusInternalServerError)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// localOnly refuses requests under another host name than this machine's own. A page that a
// browser on this machine shows could otherwise read the answers: it is enough that the
// page's own name resolves to a loopback address (DNS rebinding).
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := (&url.URL{Host: r.Host}).Hostname(); !extract.Loopback(host) {
			http.Error(w, "this server answers requests to its loopback address only: send that address as Host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// connections bounds the open connections of a server. When one more is opened, the
// connection that has waited longest for a request is closed. If all connections have a
// request under way, the new one is closed.
type connections struct {
	most int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // its place in waiting; nil while a request is under way
	waiting list.List                  // the connection that has waited longest is first
}

func newConnections(most int) *connections {
	return &connections{most: most, open: make(map[net.Conn]*list.Element)}
}

// changed is the server's ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(conn)
	switch state {
	case http.StateNew, http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
	case http.StateActive:
		c.open[conn] = nil
	}
	if len(c.open) > c.most && c.waiting.Len() > 0 {
		longest := c.waiting.Front().Value.(net.Conn)
		c.forget(longest)
		_ = longest.Close() // a client that sends a request now has to send it once more
	}
}

func (c *connections) forget(conn net.Conn) {
	if at := c.open[conn]; at != nil {
		c.waiting.Remove(at)
	}
	delete(c.open, conn)
}
