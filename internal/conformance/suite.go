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

// A Suite describes a source and its cloud to the tests.
type Suite struct {
	Provider string // of the source's ID
	PageSize int    // the most records a page; Open has to set a small size, so that few records make many pages

	// FunctionPage is the most functions a page: what the source asks for or the
	// handlers give, if that is less.
	FunctionPage int

	// Function is the n-th function of a cloud, as the source lists it.
	Function func(n int) archive.Function

	// Open opens a source on a cloud at this URL. The source has to make all calls
	// through the caller.
	Open func(t *testing.T, url string, caller *extract.Caller) archive.Source

	// Ways are the forms in which the cloud may answer, as far as its documentation
	// leaves them open: counts and markers that are present, absent or unexpected. The
	// first is the plain form.
	Ways []Way

	// Denied are the cloud's answers to wrong credentials, Gone its answer for an
	// unknown function, and Elsewhere answers of other servers at a wrong address.
	Denied    []Refusal
	Gone      Refusal
	Elsewhere []Refusal

	// Secrets are words that authenticate a call. Every call holds at least one of
	// them. No error may show them, even if a refusal repeats the whole call.
	Secrets []string

	// Unusable are elements of a page that no row can hold, as JSON.
	Unusable []string

	// Codes are codes of errors in the envelope of a success.
	Codes Codes

	// Sentinels are records as JSON, with %q for the request id, with times that stand for
	// "none".
	Sentinels []string

	// Versions is set if and only if the source implements archive.Versioner, Settings
	// if and only if it implements archive.SettingsSource.
	Versions *Versions
	Settings *Settings
}

// A Way is one form of a cloud's answers.
type Way struct {
	Name    string
	Handler func(*Cloud) http.Handler

	Counts     bool // each answer has the count of the whole query
	ShortPages bool // an answer of any length shows whether it is the last
	Overlaps   bool // a page may begin with records of the page before
}

// A Refusal is an answer other than a success. Its body has a verb for a message, %q or
// %s.
type Refusal struct {
	Status int
	Body   string
}

// lacksMessage reports whether the refusal is a success, or has no verb for a message.
func (r Refusal) lacksMessage() bool {
	return r.Status < 300 || !strings.Contains(r.Body, "%q") && !strings.Contains(r.Body, "%s")
}

// Test checks all that the loop relies on. Call it from a test that is not parallel, in
// a package whose TestMain calls pgtest.Main.
func Test(t *testing.T, s Suite) {
	t.Helper()
	for _, lacking := range s.lacking() {
		t.Errorf("the Suite lacks %s", lacking)
	}
	if t.Failed() {
		t.FailNow()
	}
	// First and alone: it looks for leaked goroutines, and other parts start some.
	t.Run("cancelling", s.cancelling)
	for name, test := range s.parts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// parts are the parts that run in parallel.
func (s *Suite) parts() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"identity": s.identity, "functions": s.functions, "records": s.records, "paging": s.paging,
		"endless": s.endless, "cursors": s.cursors, "ahead": s.ahead,
		"faults": s.faults, "unusable": s.unusable, "limits": s.limits, "denied": s.denied, "gone": s.gone,
		"stats": s.stats, "loop": s.loop,
		"envelopes": s.envelopes, "sentinels": s.sentinels, "whole": s.wholeList,
		"versions": s.versions, "aliases": s.aliases, "settings": s.settings,
	}
}

// lacking returns the required fields that the suite does not set. Without them a part
// would check nothing and pass.
func (s *Suite) lacking() (lacking []string) {
	for _, field := range []struct {
		set  bool
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
			!slices.ContainsFunc(slices.Concat(s.Denied, s.Elsewhere, []Refusal{s.Gone}), Refusal.lacksMessage),
			"a status of 300 or more, or a verb for the message, in one of Denied, Gone and Elsewhere",
		},
		{len(s.Secrets) > 0 && !slices.Contains(s.Secrets, ""), "Secrets, words that no error may show"},
		{len(s.Unusable) > 0, "Unusable, elements that no row can hold"},
		{s.Codes.Throttled != "" && s.Codes.Failing != "" && s.Codes.Denied != "" && s.Codes.Gone != "", "one of Codes, the codes of errors"},
		{len(s.Sentinels) > 0, "Sentinels, records with times that stand for none"},
	} {
		if !field.set {
			lacking = append(lacking, field.what)
		}
	}
	return slices.Concat(lacking, s.Versions.lacking(), s.Settings.lacking())
}

// noon is the hour of all records. No record is near the ends of its day.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// patience is a timeout that only a hanging test reaches.
const patience = time.Minute

// A world is a source and the cloud that it reads.
type world struct {
	suite  *Suite
	cloud  *Cloud
	source archive.Source
	again  func(t *testing.T) archive.Source // opens the source again, as another process would
	clock  *clocktest.Instant                // of the caller: its pauses take no real time

	calls    atomic.Int64 // that reached the cloud
	underWay atomic.Int64 // that the source's transport has not finished

	// disturb, if set, may answer the n-th call instead of the cloud. n begins at 1.
	disturb func(n int64, w http.ResponseWriter, r *http.Request) (answered bool)
}

// open starts a cloud and opens a source on it. change may change the options of the
// source's caller.
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
	// net/http itself retries a call if a reused connection is reset: the number of
	// calls would not be the source's.
	transport.DisableKeepAlives = true
	o := extract.Options{
		Concurrency: 4, Timeout: patience, Patience: 2 * time.Minute, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
		Transport: callCounter{transport, &w.underWay},
	}
	for _, c := range change {
		c(&o)
	}
	w.again = func(t *testing.T) archive.Source { return s.Open(t, server.URL, extract.NewCaller(o)) }
	w.source = w.again(t)
	return w
}

// plain returns the first of the ways.
func (s *Suite) plain() *Way { return &s.Ways[0] }

// A callCounter counts the calls under way.
type callCounter struct {
	http.RoundTripper
	underWay *atomic.Int64
}

func (g callCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	g.underWay.Add(1)
	defer g.underWay.Add(-1)
	return g.RoundTripper.RoundTrip(r)
}
