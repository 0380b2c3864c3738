package functiongraph

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/simulate"
)

// Each kind of credentials works, with the project's id and with its name.
func TestSignIn(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"token": {AuthToken: secret("a-user-token")},
		"user":  userOptions(),
		"keys":  {AccessKey: secret(testKey), SecretKey: secret(testSecret)},
		"the first": userOptions(func(o *Options) {
			o.AuthToken, o.AccessKey, o.SecretKey = secret("a-user-token"), secret("wrong"), secret("wrong")
		}),
	} {
		for by, project := range map[string][2]string{"id": {testProject, ""}, "name": {"", shop}} {
			t.Run(name+" by "+by, func(t *testing.T) {
				t.Parallel()
				c := newCloud(t, machineClock)
				o := o
				o.ProjectID, o.Project = project[0], project[1]
				s := c.mustOpen(t, o)
				if s.ID().ProjectID != testProject {
					t.Errorf("project %s", s.ID().ProjectID)
				}
				checkWorks(t, s)
				stats := c.Stats()
				want := int64(0)
				if by == "name" && name != "user" { // the user's token names the project
					want = 1
				}
				if asked := stats.KeystoneListProjects; asked != want {
					t.Errorf("projects were asked for %d times, want %d", asked, want)
				}
				if logins := stats.KeystoneCreateUserTokenByPassword; logins > 1 || (logins == 1) != (name == "user") || stats.Forbidden+stats.Unauthorized != 0 {
					t.Errorf("stats %+v", stats)
				}
			})
		}
	}
}

// Without a project, the region's own project is looked up.
func TestProjectOfRegion(t *testing.T) {
	t.Parallel()
	c := newCloud(t, machineClock, func(o *simulate.Options) { o.ProjectName = "cn-north-4" })
	checkWorks(t, c.mustOpen(t, Options{Region: "cn-north-4", AccessKey: secret(testKey), SecretKey: secret(testSecret)}))
}

// Requests with temporary keys carry the signed security token.
func TestSecurityToken(t *testing.T) {
	t.Parallel()
	c := newCloud(t, machineClock)
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Security-Token") != "of-the-keys" || !strings.Contains(r.Header.Get("Authorization"), "x-security-token") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	o := Options{Project: shop, AccessKey: secret(testKey), SecretKey: secret(testSecret), SecurityToken: secret("of-the-keys")}
	checkWorks(t, c.mustOpen(t, o))
}

// An error of the credentials says what is wrong and which option to set.
func TestSignInErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options Options
		says    []string
		config  bool // no call was made
		denied  bool
	}{
		"wrong password": {options: userOptions(func(o *Options) { o.Password = secret("hunter2") }), denied: true,
			says: []string{"log in as reader of an-account", "401", "The username or password is wrong", "ARCHIVER_PASSWORD"}},
		"wrong project": {options: userOptions(func(o *Options) { o.Project = "other" }), denied: true, says: []string{"project other", "HUAWEICLOUD_SDK_PROJECT_ID"}},
		"no password":   {options: userOptions(func(o *Options) { o.Password = extract.Secret{} }), config: true, says: []string{"ARCHIVER_PASSWORD is not set"}},
		"no user":       {options: userOptions(func(o *Options) { o.Username = "" }), config: true, says: []string{"ARCHIVER_USERNAME is not set"}},
		"no domain":     {options: userOptions(func(o *Options) { o.Domain = "" }), config: true, says: []string{"ARCHIVER_DOMAIN is not set"}},
		"no project": {options: userOptions(func(o *Options) { o.Region, o.Project = "", "" }), config: true,
			says: []string{"ARCHIVER_PROJECT", "HUAWEICLOUD_SDK_PROJECT_ID"}},
		"two projects": {options: userOptions(func(o *Options) { o.ProjectID = testProject }), config: true, says: []string{"are both set"}},
		"keys, an unknown project": {options: Options{Project: "other", AccessKey: secret(testKey), SecretKey: secret(testSecret)},
			says: []string{"look up project other", "no project of that name", "ARCHIVER_PROJECT"}},
		"keys that are wrong": {options: Options{Project: shop, AccessKey: secret(testKey), SecretKey: secret("hunter2")}, denied: true,
			says: []string{"look up project", "401", "check the credentials"}},
		"a token that is wrong": {options: Options{Project: shop, AuthToken: secret("hunter2")}, denied: true, says: []string{"401", "a token lives for at most 24 hours"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newCloud(t, machineClock).open(t, test.options)
			if err == nil || errors.Is(err, extract.ErrOptions) != test.config || errors.Is(err, archive.ErrDenied) != test.denied {
				t.Fatalf("got %v", err)
			}
			for _, part := range test.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q\n%v", part, err)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
			checkErrorText(t, err)
		})
	}
}

// Errors of the identity service have one line and contain no secret, and a
// project id fits into a URL path.
func TestIdentityAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"a web page":    answerWith(200, "<html>\n").ServeHTTP,
		"nothing":       answerWith(200, "").ServeHTTP,
		"a list":        answerWith(200, "[]").ServeHTTP,
		"an empty one":  answerWith(200, "{}").ServeHTTP,
		"a number":      answerWith(200, `{"projects":[{"id":17,"name":"`+shop+`"}],"token":{"expires_at":17}}`).ServeHTTP,
		"a strange id":  answerWith(200, `{"projects":[{"id":"../../v2","name":"`+shop+`"}]}`).ServeHTTP,
		"another name":  answerWith(200, `{"projects":[{"id":"`+testProject+`","name":"other"}]}`).ServeHTTP,
		"two of a name": answerWith(200, `{"projects":[{"id":"a","name":"`+shop+`"},{"id":"b","name":"`+shop+`"}]}`).ServeHTTP,
		"refused":       answerWith(400, `{"error":{"code":400,"message":"no\nand no","title":"Bad Request"}}`).ServeHTTP,
		"moved":         http.RedirectHandler("/login", http.StatusFound).ServeHTTP,
		"a strange token": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Subject-Token", "a token\tof two")
			answerWith(201, `{"token":{}}`).ServeHTTP(w, r)
		},
	} {
		for who, o := range map[string]Options{
			"keys": {Project: shop, AccessKey: secret(testKey), SecretKey: secret(testSecret)}, "user": userOptions(),
		} {
			if who == "keys" && name == "a strange token" {
				continue
			}
			t.Run(name+" "+who, func(t *testing.T) {
				t.Parallel()
				c := newCloud(t)
				c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
					answer(w, r)
					return true
				})
				_, err := c.open(t, o)
				if err == nil || !strings.Contains(err.Error(), "look up project "+shop) || !strings.Contains(err.Error(), "set HUAWEICLOUD_SDK_PROJECT_ID") {
					t.Fatalf("got %v", err)
				}
				if strings.Contains(err.Error(), testPassword) {
					t.Errorf("the password is shown: %v", err)
				}
				checkErrorText(t, err)
			})
		}
	}
}

// Cancelling ends the look-up of the project at once, in each phase.
func TestNewCancelled(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"keys":  {Project: shop, AccessKey: secret(testKey), SecretKey: secret(testSecret)},
		"token": {Project: shop, AuthToken: secret("a-user-token")},
		"user":  userOptions(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // or else the server does not notice that the client is gone
				cancel(archive.ErrInterrupted)
				<-r.Context().Done()
			}))
			defer server.Close()
			o.Endpoint, o.IAMEndpoint = server.URL, server.URL
			caller := extract.NewCaller(extract.Options{Timeout: time.Hour})
			if _, err := New(ctx, o, caller, slog.New(slog.DiscardHandler)); !errors.Is(err, archive.ErrInterrupted) || err.Error() != archive.ErrInterrupted.Error() {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The token is read from its file at each call. If the file cannot be read, the
// last token stays in use.
func TestTokenRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	t.Setenv("TEST_TOKEN_FILE", file)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	c := newCloud(t)
	good := atomic.Pointer[string]{}
	accept := func(token string) { good.Store(&token) }
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Auth-Token") != *good.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		r.Header.Set("X-Auth-Token", "a-user-token")
		return false
	})
	accept("first")
	s := c.mustOpen(t, Options{ProjectID: testProject, AuthToken: extract.SecretFrom("TEST_TOKEN")})
	checkWorks(t, s)
	write("second")
	accept("second")
	checkWorks(t, s)
	write("")
	checkWorks(t, s)
	write("two words")
	checkWorks(t, s)
	accept("third")
	if _, err := functions(t.Context(), s); !errors.Is(err, archive.ErrDenied) || !strings.Contains(err.Error(), "TEST_TOKEN_FILE") {
		t.Errorf("got %v", err)
	}
	// The file is replaced after the call and before the refusal.
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Auth-Token") == "second" {
			write("third")
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		r.Header.Set("X-Auth-Token", "a-user-token")
		return false
	})
	write("second")
	checkWorks(t, s)
}
