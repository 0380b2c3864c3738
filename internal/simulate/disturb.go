package simulate

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
)

const disturbanceCount = 10

// disturbances are what can happen to a call instead of its answer. None depends
// on what the call asks for.
var disturbances = [disturbanceCount]struct {
	name, help string
	disturb    func(*Server, http.ResponseWriter, *http.Request)
}{
	{"429", "429 with Retry-After", (*Server).throttle},
	{"429-bare", "429 without Retry-After", (*Server).throttleBare},
	{"500", "500", (*Server).fail},
	{"502", "502 with an HTML page", (*Server).gateway},
	{"reset", "the connection is reset", (*Server).reset},
	{"cut", "the body ends halfway", (*Server).cut},
	{"blank", "200 without a body", (*Server).blank},
	{"envelope", "200 with an error in the body", (*Server).answerEnvelope},
	{"hollow", "200 with {}, without list, count and token", (*Server).hollow},
	{"hang", "no answer until the client gives up", (*Server).hang},
}

var (
	errDenied = forbidden("no permission to do this")
	errBroken = &refusal{status: http.StatusInternalServerError, code: "FSS.0500", message: "the function's records cannot be read"}
)

// serveFaulty answers a call or disturbs it. The disturbance is drawn from the
// call's content and the number of equal calls before, so that a retry draws
// again.
func (s *Server) serveFaulty(w http.ResponseWriter, r *http.Request) {
	f := s.faults
	if err := f.passGateway(r, f.calls.Add(1), s.options.Now()); err != nil {
		s.refuse(w, r, err)
		return
	}
	draw := f.drawCall(r.Method + " " + r.URL.RequestURI())
	if f.losesConnection(r, draw) {
		s.stats.add(&s.stats.Disturbed, 1)
		_ = hijack(w).Close() // the error has no one to go to
		return
	}
	u := draw.share()
	for i, d := range disturbances {
		if u -= f.disturb[i]; u < 0 {
			s.stats.add(&s.stats.Disturbed, 1)
			s.log(r, slog.LevelDebug, "call disturbed", slog.String("fault", d.name))
			d.disturb(s, w, r)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// drawCall draws for the next call of this content.
func (f *faulter) drawCall(content string) dice {
	d := f.root.of(drawCall).text(content)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.repeats[d]++
	return d.of(dice(f.repeats[d]))
}

func (s *Server) throttle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", strconv.Itoa(s.faults.retryAfter))
	s.refuse(w, r, errThrottled)
}

func (s *Server) throttleBare(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, errThrottled) }

func (s *Server) fail(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, errInternal) }

func (s *Server) gateway(w http.ResponseWriter, _ *http.Request) {
	const body = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
	s.stats.refused(http.StatusBadGateway)
	h := w.Header()
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusBadGateway)
	_, _ = w.Write([]byte(body))
}

func (s *Server) blank(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, nil) }

// reset closes the connection with a TCP reset. If the connection cannot be
// hijacked, it ends without one.
func (s *Server) reset(w http.ResponseWriter, _ *http.Request) {
	connection := hijack(w)
	if tcp, ok := connection.(*net.TCPConn); ok {
		// With a linger of 0, closing sends a reset. If that cannot be set, the
		// connection ends anyway.
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close() // the error has no one to go to
}

// hijack takes the connection over, or ends it if that is not possible.
func hijack(w http.ResponseWriter) net.Conn {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return connection
}

// cut answers the call, sends half of the answer, and ends the connection.
func (s *Server) cut(w http.ResponseWriter, r *http.Request) {
	s.mux.ServeHTTP(&halfWriter{w}, r)
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.log(r, slog.LevelDebug, "the caller is gone", slog.Any("error", err))
	}
	panic(http.ErrAbortHandler)
}

// halfWriter sends half of a body with the Content-Length of the whole. This
// works because an answer is written in one call (see write).
type halfWriter struct{ http.ResponseWriter }

func (h *halfWriter) Write(body []byte) (int, error) {
	return h.ResponseWriter.Write(body[:len(body)/2])
}

func (s *Server) hang(_ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}
