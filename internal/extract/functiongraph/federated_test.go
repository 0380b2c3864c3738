package functiongraph

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

const testIDToken = "an-id-token-of-the-test"

// An issuer is an identity service that gives keys for the token of a federated identity
// (SDK: FederalAccessor).
type issuer struct {
	mu     sync.Mutex
	asked  []string
	status int    // of its answers; 0 for keys
	body   string // with status
	keys   string // if set, the answer in place of keys
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, r.Method+" "+r.URL.Path)
	switch {
	case i.status != 0:
		w.WriteHeader(i.status)
		fmt.Fprint(w, i.body)
	case strings.HasSuffix(r.URL.Path, "/OS-AUTH/id-token/tokens"):
		if r.Header.Get("X-Idp-Id") != "an-idp" || !strings.Contains(string(body), testIDToken) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-Subject-Token", "a-subject-token")
		fmt.Fprint(w, `{"token":{"expires_at":"2099-01-01T00:00:00.000000Z","methods":["mapped"]}}`)
	case strings.HasSuffix(r.URL.Path, "/OS-CREDENTIAL/securitytokens") && i.keys != "":
		fmt.Fprint(w, i.keys)
	case strings.HasSuffix(r.URL.Path, "/OS-CREDENTIAL/securitytokens") && strings.Contains(string(body), "a-subject-token"):
		fmt.Fprintf(w, `{"credential":{"access":%q,"secret":%q,"securitytoken":"temporary","expires_at":%q}}`,
			testKey, testSecret, time.Now().Add(6*time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z"))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// federate sets the variables of a federated identity.
func federate(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(testIDToken), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HUAWEICLOUD_SDK_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv(idpIDVariable, "an-idp")
	t.Setenv(idTokenVariable, file)
}

// hosts answers requests by the handler of their host, and refuses those to other hosts.
type hosts map[string]http.Handler

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	handler, ok := h[r.URL.Scheme+"://"+r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("asked %s", r.URL.Host)
	}
	recorded := httptest.NewRecorder()
	handler.ServeHTTP(recorded, r)
	return recorded.Result(), nil
}

// A federated identity signs in at the identity service of the region, or at the given
// one, and at no other.
func TestFederatedIdentity(t *testing.T) {
	federate(t)
	c := newCloud(t, machineClock)
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Security-Token") != "temporary" {
			t.Errorf("called with %v", r.Header)
		}
		fmt.Fprint(w, `{"functions":[{"func_urn":"urn:a"}],"count":1}`)
	})
	for name, test := range map[string]struct {
		options  Options
		api, iam string
	}{
		"a region":              {Options{Region: "cn-north-4"}, "https://functiongraph.cn-north-4.myhuaweicloud.com", "https://iam.cn-north-4.myhuaweicloud.com"},
		"Open Telekom Cloud":    {Options{Region: "eu-de"}, "https://functiongraph.eu-de.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"},
		"ARCHIVER_IAM_ENDPOINT": {Options{Region: "eu-de", IAMEndpoint: "https://iam.example.com/v3/"}, "https://functiongraph.eu-de.otc.t-systems.com", "https://iam.example.com"},
		"both endpoints":        {Options{Region: "x", Endpoint: "https://fgs.example.com", IAMEndpoint: "https://iam.example.com"}, "https://fgs.example.com", "https://iam.example.com"},
	} {
		iam := new(issuer)
		test.options.ProjectID = testProject
		caller := extract.NewCaller(extract.Options{Clock: sleepless{c.clock}, Transport: hosts{test.api: api, test.iam: iam}})
		s, err := New(t.Context(), test.options, caller, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if all, err := functions(t.Context(), s); err != nil || len(all) != 1 {
			t.Errorf("%s: %v, %v", name, all, err)
		}
		if want := []string{"POST /v3.0/OS-AUTH/id-token/tokens", "POST /v3.0/OS-CREDENTIAL/securitytokens"}; fmt.Sprint(iam.asked) != fmt.Sprint(want) {
			t.Errorf("%s: asked %q", name, iam.asked)
		}
	}
	_, err := New(t.Context(), Options{Region: "x", Endpoint: "https://fgs.example.com", ProjectID: testProject},
		extract.NewCaller(extract.Options{Transport: hosts{}}), slog.New(slog.DiscardHandler))
	if !errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), "ARCHIVER_IAM_ENDPOINT") {
		t.Errorf("without an identity service: %v", err)
	}
}

// Its keys work against a server that checks signatures. What the identity service
// refuses is said without the token, and an answer that is not usable without its keys,
// also in the log of the retries.
func TestFederatedIdentityAtServers(t *testing.T) {
	federate(t)
	c := newCloud(t, machineClock)
	iam := new(issuer)
	server := httptest.NewServer(iam)
	defer server.Close()
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	open := func() (*Source, error) {
		o := Options{Region: "cn-north-4", Endpoint: c.url, IAMEndpoint: server.URL, ProjectID: testProject}
		return New(t.Context(), o, extract.NewCaller(extract.Options{Clock: sleepless{c.clock}, Log: log}), log)
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	checkWorks(t, s)
	for _, answer := range []struct {
		status int
		body   string
		denied bool
	}{
		{401, `{"error":{"code":401,"message":"the token ` + testIDToken + ` has expired"}}`, true},
		{403, `{"error_msg":"` + testIDToken + `","error_code":"IAM.0011"}`, true},
		{503, `down`, false},
		{200, `{"` + testIDToken + `":`, false},
	} {
		iam.status, iam.body = answer.status, answer.body
		_, err := open()
		if err == nil || errors.Is(err, archive.ErrDenied) != answer.denied || !strings.Contains(err.Error(), server.URL) || strings.Contains(err.Error(), testIDToken) {
			t.Errorf("%d: %v", answer.status, err)
		}
	}
	iam.status = 0
	for _, answer := range []string{
		`{"credential":{"access":"a-temporary-key","secret":"a-temporary-secret","securitytoken":"a-temporary-token"`,
		`{"credential":{"access":"a-temporary-key","secret":"a-temporary-secret","securitytoken":"a-temporary-token"}}`,
		`{"credential":["a-temporary-secret"]}`,
	} {
		iam.keys = answer
		if _, err := open(); err == nil || !strings.Contains(err.Error(), "no usable answer") || strings.Contains(err.Error(), "a-temporary") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	if text := logged.String(); !strings.Contains(text, "retrying a call") || strings.Contains(text, "a-temporary") || strings.Contains(text, testIDToken) {
		t.Errorf("logged %s", text)
	}
	t.Setenv(idTokenVariable, "")
	if _, err := open(); !errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), idTokenVariable) {
		t.Errorf("without a token: %v", err)
	}
}
