package simulate

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ahead := s.options.Faults.dateAhead; ahead != 0 {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}
	w.Header().Set("X-Request-Id", fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()))
	defer func() {
		switch fault := recover(); fault {
		case nil:
		case http.ErrAbortHandler:
			panic(fault)
		default:
			// A handler writes its answer last, so no answer has begun.
			s.refuse(w, r, fmt.Errorf("panic: %v", fault))
		}
	}()
	if s.options.Latency > 0 && s.options.Sleep(r.Context(), s.options.Latency) != nil {
		return // the caller has gone away
	}
	if strings.HasPrefix(r.URL.Path, identityPrefix) {
		s.serveIdentity(w, r)
		return
	}
	if err := s.authenticate(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	if s.limiter != nil && !s.limiter.AllowN(s.options.Now(), 1) {
		wait := max(1, math.Ceil(1/s.options.RateLimit))
		w.Header().Set("Retry-After", strconv.FormatFloat(wait, 'f', 0, 64))
		s.refuse(w, r, errThrottled)
		return
	}
	// The mux would redirect a path that is not clean. The API does not.
	if path.Clean(r.URL.Path) != r.URL.Path {
		s.refuse(w, r, errNoPath)
		return
	}
	if s.options.Faults.active() {
		s.serveFaulty(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// route registers the operations under the paths of the API's pages. The path of
// the status log is from the SDK (ShowProjectAsyncStatusLogInfo).
func (s *Server) route() {
	const functions = "GET /v2/{project_id}/fgs/functions"
	s.handle(functions, &s.stats.ListFunctions, s.call, s.listFunctions)
	s.handle(functions+"/async-status-log-detail", &s.stats.ShowProjectAsyncStatusLogInfo, s.call, s.showStatusLog)
	s.handle(functions+"/{function_urn}/versions", &s.stats.ListFunctionVersions, s.call, s.listVersions)
	s.handle(functions+"/{function_urn}/aliases", &s.stats.ListVersionAliases, s.call, s.listAliases)
	s.handle(functions+"/{function_urn}/async-invocations", &s.stats.ListAsyncInvocations, s.call, s.listInvocations)
	s.handle(functions+"/{function_urn}/async-invoke-configs", &s.stats.ListFunctionAsyncInvokeConfig, s.call, s.listConfigs)
	s.routeCompute()
	// Other paths get the API's error and not the mux's.
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, errNoPath)
	})
}

// call is an authenticated request.
type call struct {
	request *http.Request
	query   url.Values
	target
}

// handle registers an operation. calls counts it, and read reads its requests.
func (s *Server) handle(pattern string, calls *int64, read func(*http.Request) (call, error), answer func(http.ResponseWriter, call) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.stats.add(calls, 1)
		c, err := read(r)
		c.request = r
		if err == nil {
			err = answer(w, c)
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		s.log(r, slog.LevelDebug, "call answered")
	})
}

// call reads a request of FunctionGraph.
func (s *Server) call(r *http.Request) (call, error) {
	if r.PathValue("project_id") != s.options.ProjectID {
		return call{}, errProject
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return call{}, invalid("malformed query string")
	}
	c := call{query: query}
	if urn := r.PathValue("function_urn"); urn != "" {
		target, ok := s.functions[urn]
		if !ok {
			return call{}, errNoFunction
		}
		if err := s.functionFault(target.function); err != nil {
			return call{}, err
		}
		c.target = target
	}
	return c, nil
}

// functionFault is the error that a function answers because of Faults, or nil.
func (s *Server) functionFault(function int) error {
	switch f := s.faults; {
	case !s.options.Faults.active():
	case f.isGone(function, s.options.Now()):
		return functionAnswers[f.goneAnswer]
	case f.broken[function]:
		return functionAnswers[f.brokenAnswer]
	case f.only < 1 && f.limited[function]:
		return f.overRate(function, s.options.Now())
	}
	return nil
}

func (s *Server) log(r *http.Request, level slog.Level, message string, attrs ...slog.Attr) {
	if !s.options.Log.Enabled(r.Context(), level) {
		return
	}
	attrs = append(attrs, slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("query", r.URL.RawQuery))
	s.options.Log.LogAttrs(r.Context(), level, "simulate: "+message, attrs...)
}
