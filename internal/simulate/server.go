// Package simulate serves the part of the FunctionGraph API that an archive
// reads, over HTTP and from memory, for trying, testing and benchmarks. Under
// /2021-04-06/ it serves the same records as Function Compute would (see
// compute.go).
//
// A [Server] answers from a [dataset.Data] as the API's pages describe, and
// checks signatures and tokens as strictly as the real gateway. It also serves
// the two calls of the identity service that signing in needs.
//
// [Faults] make the Server differ: it takes each reading that the pages leave
// open, or fails as a source can fail. [Server.Truth] returns what an archive
// should hold in the end.
package simulate

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"time"

	"archiver/internal/simulate/dataset"

	"golang.org/x/time/rate"
)

// The defaults of Options.
const (
	DefaultRegion    = "cn-north-4"
	DefaultProjectID = "5a11e0ca7ed05ed7a6a4c0de5eed0001"
)

// Options configure a Server. Required are Data and at least one of a key pair, a
// token and a user.
type Options struct {
	Data      *dataset.Data
	Region    string // default DefaultRegion
	ProjectID string // default DefaultProjectID

	ProjectName string // default: the region's name, as for the region's main project

	// AccessKey and SecretKey sign requests with SDK-HMAC-SHA256.
	AccessKey, SecretKey string
	// Token is a valid X-Auth-Token.
	Token string
	// User, Password and Domain (the account) get a token from the identity
	// service, which this server serves too.
	User, Password, Domain string
	TokenLife              time.Duration // default DefaultTokenLife

	// Latency is added to every answer, including refusals.
	Latency time.Duration
	// RateLimit is how many calls a second are answered, by the clock Now, with
	// bursts of one second. Other calls get 429. 0 means no limit.
	RateLimit float64
	// Faults say how answers deviate from the API's pages. Default: not at all.
	Faults Faults

	// Now is the clock. Default: the Data's clock. A live Data shows the records
	// that it has by this clock.
	Now func() time.Time
	// Sleep waits for Latency. It returns an error if the context ends first.
	// Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Log gets internal errors as errors and each call at debug level. Nil: no log.
	Log *slog.Logger
}

// Server answers like the FunctionGraph API. It is an http.Handler and safe for
// concurrent use.
type Server struct {
	options   Options
	data      *dataset.Data
	names     []string          // of the functions, by index
	functions map[string]target // by URN, with and without version
	urns      []string          // by index, with version
	mux       *http.ServeMux
	limiter   *rate.Limiter // nil: no limit
	faults    *faulter
	stats     counters
	tokens    tokens
}

// New returns a Server for the given options.
func New(o Options) (*Server, error) {
	switch {
	case o.Data == nil:
		return nil, errors.New("simulate: no data")
	case (o.AccessKey == "") != (o.SecretKey == ""):
		return nil, errors.New("simulate: access key and secret key go together")
	case (o.User == "") != (o.Password == "") || (o.User == "") != (o.Domain == ""):
		return nil, errors.New("simulate: user, password and domain go together")
	case o.AccessKey == "" && o.Token == "" && o.User == "":
		return nil, errors.New("simulate: no key pair, token or user to authenticate requests with")
	case o.RateLimit < 0 || math.IsNaN(o.RateLimit):
		return nil, errors.New("simulate: the rate limit must not be negative")
	}
	o.Region = cmp.Or(o.Region, DefaultRegion)
	o.ProjectID = cmp.Or(o.ProjectID, DefaultProjectID)
	o.ProjectName = cmp.Or(o.ProjectName, o.Region)
	o.TokenLife = cmp.Or(o.TokenLife, DefaultTokenLife)
	if o.Now == nil {
		o.Now = o.Data.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, data: o.Data, names: o.Data.Functions(), functions: map[string]target{}, mux: http.NewServeMux()}
	for i, name := range s.names {
		urn := "urn:fss:" + o.Region + ":" + o.ProjectID + ":function:default:" + name
		s.functions[urn] = target{function: i}
		for n, version := range o.Faults.versions() {
			s.functions[urn+":"+version] = target{function: i, version: n}
		}
		s.urns = append(s.urns, urn+":latest")
	}
	if o.RateLimit > 0 {
		burst := math.Ceil(min(o.RateLimit, math.MaxInt32))
		s.limiter = rate.NewLimiter(rate.Limit(o.RateLimit), int(burst))
	}
	var started time.Time
	if o.Faults.active() {
		started = o.Now()
	}
	s.faults = newFaulter(o.Faults, o.Data, started)
	s.route()
	return s, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// FunctionInfo is one function with its current number of records.
type FunctionInfo struct {
	Name    string
	URN     string // with its version
	Records int    // without faults

	// Gone: the function answers 404 by now. Broken: it answers 500. Both because
	// of Faults.
	Gone, Broken bool
}

// Functions returns all functions, in the order in which the API lists them.
func (s *Server) Functions() []FunctionInfo {
	now := s.options.Now()
	list := make([]FunctionInfo, len(s.urns))
	for i, name := range s.names {
		list[i] = FunctionInfo{
			Name: name, URN: s.urns[i], Records: s.data.Count(i, now.Unix()),
			Gone: s.faults.isGone(i, now), Broken: s.faults.broken[i],
		}
	}
	return list
}
