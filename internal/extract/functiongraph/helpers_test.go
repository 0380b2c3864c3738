package functiongraph

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
)

const (
	testKey     = "AKIDEXAMPLE"
	testSecret  = "a-secret-key-of-the-test"
	testProject = "0123456789abcdef0123456789abcdef"
	testURN     = "urn:fss:cn-north-4:" + testProject + ":function:default:a:latest"
)

var (
	noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	hour = archive.Query{Function: archive.Function{URN: testURN}, From: noon.Add(-time.Second), To: noon.Add(time.Hour + time.Second)}
)

func secret(value string) extract.Secret { return extract.FixedSecret("the secret", value) }

// open makes a source that calls h over HTTP; change may change its options.
func open(t *testing.T, h http.Handler, change ...func(*Options)) *Source {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return openAt(t, server.URL, change...)
}

// setTransport replaces the source's transport and concurrency.
func (s *Source) setTransport(transport http.RoundTripper, concurrency int) {
	s.caller = extract.NewCaller(extract.Options{Concurrency: concurrency, Patience: time.Minute, Transport: transport, Clock: clocktest.NewInstant(noon)})
	s.client.caller = s.caller
}

// A gauge counts the running calls.
type gauge struct {
	http.RoundTripper
	running atomic.Int64
}

func (g *gauge) RoundTrip(r *http.Request) (*http.Response, error) {
	g.running.Add(1)
	defer g.running.Add(-1)
	return g.RoundTripper.RoundTrip(r)
}

func newGauge(t *testing.T) *gauge {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &gauge{RoundTripper: transport}
}

func openAt(t *testing.T, url string, change ...func(*Options)) *Source {
	t.Helper()
	o := Options{Region: "cn-north-4", Endpoint: url, ProjectID: testProject, AccessKey: secret(testKey), SecretKey: secret(testSecret)}
	for _, c := range change {
		c(&o)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	caller := extract.NewCaller(extract.Options{Concurrency: 4, Patience: time.Minute, Transport: transport, Clock: clocktest.NewInstant(noon)})
	s, err := New(t.Context(), o, caller, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answerWith answers each call with a status and a body.
func answerWith(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

// read returns all pages of a query.
func read(ctx context.Context, s *Source, q archive.Query) (pages []archive.Page, err error) {
	for page, err := range s.Pages(ctx, q) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

func functions(ctx context.Context, s *Source) (all []archive.Function, err error) {
	for page, err := range s.Functions(ctx) {
		if err != nil {
			return all, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// checkErrorText checks that an error has one line and contains no secret.
func checkErrorText(t *testing.T, err error) {
	t.Helper()
	for _, never := range []string{"\n", "\r", testKey, testSecret, "Signature=", "a-user-token"} {
		if strings.Contains(err.Error(), never) {
			t.Errorf("the error shows %q: %v", never, err)
		}
	}
}
