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

// What a Server uses where Options leave it open.
const (
	DefaultRegion    = "cn-north-4"
	DefaultProjectID = "5a11e0ca7ed05ed7a6a4c0de5eed0001"
)

// Options configure a Server. Data and a way to authenticate, a key pair, a
// token or a user, are required.
type Options struct {
	Data      *dataset.Data
	Region    string // default DefaultRegion
	ProjectID string // default DefaultProjectID

	ProjectName string // default the region's name, as the region's own project has it

	// Requests signed with SDK-HMAC-SHA256 by this key pair are let in.
	AccessKey, SecretKey string
	// So are requests with this X-Auth-Token.
	Token string
	// So are those with a token that the identity service gave this user, of
	// this account. It answers beside the API, in the same place.
	User, Password, Domain string
	TokenLife              time.Duration // default DefaultTokenLife

	// Latency is added to every answer, refusals included.
	Latency time.Duration
	// RateLimit is how many calls a second are answered, bursts of one second
	// included, by the clock Now; the others get 429. 0 is no limit.
	RateLimit float64
	// Faults are how the answers deviate from the API's pages; by default not
	// at all.
	Faults Faults

	// Now is the clock; by default that of a live Data, else time.Now. A live
	// Data shows its records by this clock.
	Now func() time.Time
	// Sleep waits out Latency; it ends early, with an error, with the context.
	// By default it waits on a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Log, if any, gets faults as errors and each call at debug level.
	Log *slog.Logger
}

// Server answers like the FunctionGraph API. It is an http.Handler, safe for
// concurrent use.
type Server struct {
	options   Options
	data      *dataset.Data
	names     []string          // of the functions, by index
	functions map[string]target // by URN, with its version and without
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
		return nil, errors.New("simulate: neither a key pair nor a token nor a user to check requests against")
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

// sleep waits for d or the end of ctx.
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

// FunctionInfo is one function, with the number of records it has by now.
type FunctionInfo struct {
	Name    string
	URN     string // with its version
	Records int    // faults or not

	// Gone and Broken say that by now the function answers 404, or 500, by the
	// Options' Faults.
	Gone, Broken bool
}

// Functions returns all functions, in the order in which the API lists them.
func (s *Server) Functions() []FunctionInfo {
	now := s.options.Now()
	list := make([]FunctionInfo, len(s.urns))
	for i, name := range s.names {
		list[i] = FunctionInfo{
			Name: name, URN: s.urns[i], Records: s.data.Count(i, now.Unix()),
			Gone: s.faults.isGone(i, now), Broken: s.faults.isBroken(i),
		}
	}
	return list
}
