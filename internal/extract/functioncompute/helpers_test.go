package functioncompute

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
)

const (
	testKey     = "LTAIEXAMPLE"
	testSecret  = "a-secret-key-of-the-test"
	testToken   = "a-security-token-of-the-test"
	testAccount = "1880770869020000"
	testURN     = "acs:fc:cn-hangzhou:" + testAccount + ":services/demo-service/functions/demo-function"
)

var (
	noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	hour = archive.Query{Function: archive.Function{URN: testURN}, From: noon.Add(-time.Second), To: noon.Add(time.Hour + time.Second)}
)

// open makes a source that calls h over HTTP; change may change its options.
func open(t *testing.T, h http.Handler, change ...func(*Options)) *Source {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	o := options()
	o.Endpoint = server.URL
	for _, c := range change {
		c(&o)
	}
	s, err := New(o, newCaller(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newCaller(t *testing.T) *extract.Caller {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return extract.NewCaller(extract.Options{Concurrency: 4, Patience: time.Minute, Transport: transport, Clock: clocktest.NewInstant(noon)})
}

func options() Options {
	return Options{Region: "cn-hangzhou", AccountID: testAccount, Keys: func() (Keys, error) {
		return Keys{testKey, testSecret, testToken}, nil
	}}
}

// answerWith answers each call with a status and a body.
func answerWith(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

// pages answers each call with the body for its token; the keys are tokens.
func pages(bodies map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Query().Get("nextToken")]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			body = `{"ErrorCode":"InvalidArgument","ErrorMessage":"nextToken is invalid"}`
		}
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

// ids joins the request ids of each page.
func ids(pages []archive.Page) (all []string) {
	for _, p := range pages {
		var page []string
		for _, inv := range p.Invocations {
			page = append(page, inv.RequestID)
		}
		all = append(all, strings.Join(page, " "))
	}
	return all
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
	for _, never := range []string{"\n", "\r", testKey, testSecret, testToken, "Signature="} {
		if strings.Contains(err.Error(), never) {
			t.Errorf("the error shows %q: %v", never, err)
		}
	}
}
