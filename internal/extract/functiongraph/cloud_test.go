package functiongraph

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

const (
	testUser     = "reader"
	testPassword = `pass"word of the test`
	testDomain   = "an-account"
	shop         = "cn-north-4_shop"
)

// A cloud is a simulated API with its identity service, the test's clock, and
// the transport to the API.
type cloud struct {
	*simulate.Server
	url   string
	clock *clocktest.Clock
	// interceptor, if set, sees each call first and may answer it.
	interceptor atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func newCloud(t *testing.T, change ...func(*simulate.Options)) *cloud {
	t.Helper()
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 3, Invocations: 30, Date: noon.Truncate(24 * time.Hour), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{clock: clocktest.New(noon)}
	o := simulate.Options{
		Data: data, ProjectID: testProject, ProjectName: shop, AccessKey: testKey, SecretKey: testSecret, Token: "a-user-token",
		User: testUser, Password: testPassword, Domain: testDomain, Now: c.clock.Now,
	}
	for _, f := range change {
		f(&o)
	}
	if c.Server, err = simulate.New(o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before := c.interceptor.Load(); before != nil && (*before)(w, r) {
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *cloud) intercept(f func(http.ResponseWriter, *http.Request) bool) { c.interceptor.Store(&f) }

// open makes a source; its clock does not wait in Sleep.
func (c *cloud) open(t *testing.T, o Options) (*Source, error) {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	caller := extract.NewCaller(extract.Options{Concurrency: 4, Transport: transport, Clock: sleepless{c.clock}})
	o.Endpoint, o.IAMEndpoint = c.url, c.url+"/v3/"
	return New(t.Context(), o, caller, slog.New(slog.DiscardHandler))
}

func (c *cloud) mustOpen(t *testing.T, o Options) *Source {
	t.Helper()
	s, err := c.open(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkWorks checks that the source can list the functions.
func checkWorks(t *testing.T, s *Source) {
	t.Helper()
	if all, err := functions(t.Context(), s); err != nil || len(all) != 3 {
		t.Errorf("%d functions, %v", len(all), err)
	}
}

// A sleepless clock advances when Sleep is called.
type sleepless struct{ *clocktest.Clock }

func (c sleepless) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return context.Cause(ctx)
}

// userOptions logs in with a password. The simulator's clock stands at noon, so
// signatures, which use the machine's clock, are refused.
func userOptions(change ...func(*Options)) Options {
	o := Options{Region: "cn-north-4", Project: shop, Username: testUser, Domain: testDomain, Password: secret(testPassword)}
	for _, f := range change {
		f(&o)
	}
	return o
}

func machineClock(o *simulate.Options) { o.Now = time.Now }
