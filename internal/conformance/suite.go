package conformance

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
)

// A Suite says of a source what its tests need to know.
type Suite struct {
	Provider string // of the source's ID
	PageSize int    // the most records a page of a source as Open opens it; small, so that few records make many pages

	// FunctionPage is the most functions a page that the source asks for, or that
	// the handlers give.
	FunctionPage int

	// Function is the n-th function of a cloud, as the source lists it.
	Function func(n int) archive.Function

	// Open opens a source on a cloud at this URL. All its calls go through the
	// caller.
	Open func(t *testing.T, url string, caller *extract.Caller) archive.Source

	// Ways are how the cloud may answer, in each shape that its pages leave open:
	// counts and markers that are there, are not, or say something strange. The
	// first is the plain one.
	Ways []Way

	// What the cloud says where it refuses the credentials, where it does not
	// know the function, and what others say at a wrong address.
	Denied    []Refusal
	Gone      Refusal
	Elsewhere []Refusal

	// Secrets are words of what authenticates a call, at least one of them of
	// every call: no error shows them, though a refusal repeats the whole call.
	Secrets []string

	// Unusable are elements of a page that no row can hold, as JSON.
	Unusable []string

	// Versions are of a source that implements archive.Versioner, Settings of one
	// that implements archive.SettingsSource, and of no other.
	Versions *Versions
	Settings *Settings
}

// A Way is one of the shapes of a cloud's answers.
type Way struct {
	Name    string
	Handler func(*Cloud) http.Handler

	Counts     bool // each answer has the count of the whole query
	ShortPages bool // an answer shows whether it is the last, at any length
	Overlaps   bool // pages may begin with records of the one before
}

// A Refusal is an answer that is not a success. Its body has a verb for a
// message, %q or %s.
type Refusal struct {
	Status int
	Body   string
}

// mute reports whether it could not tell what it has to.
func (r Refusal) mute() bool {
	return r.Status < 300 || !strings.Contains(r.Body, "%q") && !strings.Contains(r.Body, "%s")
}

// Test holds a source to what the loop relies on. It is called from a test that
// is not parallel, and whose package has pgtest.Main for its TestMain.
func Test(t *testing.T, s Suite) {
	t.Helper()
	for _, lacking := range s.lacking() {
		t.Errorf("the Suite lacks %s", lacking)
	}
	if t.Failed() {
		t.FailNow()
	}
	// First of all: what it looks for is left by no other test.
	t.Run("cancelling", s.cancelling)
	for name, test := range s.parts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// parts are those that run at once.
func (s *Suite) parts() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"identity": s.identity, "functions": s.functions, "records": s.records, "paging": s.paging,
		"endless": s.endless, "cursors": s.cursors, "ahead": s.ahead,
		"faults": s.faults, "unusable": s.unusable, "limits": s.limits, "denied": s.denied, "gone": s.gone,
		"stats": s.stats, "loop": s.loop,
		"versions": s.versions, "aliases": s.aliases, "settings": s.settings,
	}
}

// lacking is what a suite does not say and has to: without it, a part would
// look for nothing, and pass.
func (s *Suite) lacking() (lacking []string) {
	for _, field := range []struct {
		said bool
		what string
	}{
		{s.Provider != "", "Provider, the name in the source's ID"},
		{s.PageSize >= 2, "PageSize, of two records or more"},
		{s.FunctionPage >= 1, "FunctionPage, the most functions a page"},
		{s.Function != nil, "Function, which names functions"},
		{s.Open != nil, "Open, which opens a source"},
		{len(s.Ways) > 0, "Ways, how the cloud may answer"},
		{!slices.ContainsFunc(s.Ways, func(w Way) bool { return w.Name == "" || w.Handler == nil }), "the name or the handler of one of Ways"},
		{len(s.Denied) > 0, "Denied, what the cloud says where it refuses credentials"},
		{s.Gone != Refusal{}, "Gone, what the cloud says where it does not know a function"},
		{len(s.Elsewhere) > 0, "Elsewhere, what others say at a wrong address"},
		{
			!slices.ContainsFunc(slices.Concat(s.Denied, s.Elsewhere, []Refusal{s.Gone}), Refusal.mute),
			"a status of 300 or more, or a verb for the message, in one of Denied, Gone and Elsewhere",
		},
		{len(s.Secrets) > 0 && !slices.Contains(s.Secrets, ""), "Secrets, words that no error may show"},
		{len(s.Unusable) > 0, "Unusable, elements that no row can hold"},
	} {
		if !field.said {
			lacking = append(lacking, field.what)
		}
	}
	return slices.Concat(lacking, s.Versions.lacking(), s.Settings.lacking())
}

// noon is in the middle of a day in which nothing else happens.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// patience is far longer than what it bounds ever takes.
const patience = time.Minute

// A world is a source and the cloud that it reads.
type world struct {
	suite  *Suite
	cloud  *Cloud
	source archive.Source
	again  func(t *testing.T) archive.Source // opened again, as by another process
	clock  *clocktest.Instant                // of the caller: its pauses take no time

	calls    atomic.Int64 // as the cloud counts them
	underWay atomic.Int64 // as the source's side counts them

	// disturb, if set, may answer the n-th call, from 1, in place of the cloud.
	disturb func(n int64, w http.ResponseWriter, r *http.Request) (answered bool)
}

// open starts a cloud and opens a source on it; change may alter the options of
// its caller.
func (s *Suite) open(t *testing.T, way *Way, change ...func(*extract.Options)) *world {
	t.Helper()
	w := &world{suite: s, cloud: &Cloud{functions: []archive.Function{s.Function(0)}}, clock: clocktest.NewInstant(noon)}
	cloud := way.Handler(w.cloud)
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		n := w.calls.Add(1)
		if w.disturb == nil || !w.disturb(n, answer, r) {
			cloud.ServeHTTP(answer, r)
		}
	}))
	t.Cleanup(server.Close)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A connection that was used before and is reset is tried again by itself.
	transport.DisableKeepAlives = true
	o := extract.Options{
		Concurrency: 4, Timeout: patience, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
		Transport: gauge{transport, &w.underWay},
	}
	for _, c := range change {
		c(&o)
	}
	w.again = func(t *testing.T) archive.Source { return s.Open(t, server.URL, extract.NewCaller(o)) }
	w.source = w.again(t)
	return w
}

// plain is the first of the ways.
func (s *Suite) plain() *Way { return &s.Ways[0] }

// A gauge is how many calls are under way.
type gauge struct {
	http.RoundTripper
	underWay *atomic.Int64
}

func (g gauge) RoundTrip(r *http.Request) (*http.Response, error) {
	g.underWay.Add(1)
	defer g.underWay.Add(-1)
	return g.RoundTripper.RoundTrip(r)
}
