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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
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
	// before, if set, sees each call first and may answer it.
	before atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
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
		if before := c.before.Load(); before != nil && (*before)(w, r) {
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *cloud) intercept(f func(http.ResponseWriter, *http.Request) bool) { c.before.Store(&f) }

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

// works checks that the source can list the functions.
func works(t *testing.T, s *Source) {
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

// asUser logs in with a password. The simulator's clock stands at noon, so
// signatures, which use the machine's clock, are refused.
func asUser(change ...func(*Options)) Options {
	o := Options{Region: "cn-north-4", Project: shop, Username: testUser, Domain: testDomain, Password: secret(testPassword)}
	for _, f := range change {
		f(&o)
	}
	return o
}

func machineClock(o *simulate.Options) { o.Now = time.Now }

// Each kind of credentials works, with the project's id and with its name.
func TestSignIn(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"token": {AuthToken: secret("a-user-token")},
		"user":  asUser(),
		"keys":  {AccessKey: secret(testKey), SecretKey: secret(testSecret)},
		"the first": asUser(func(o *Options) {
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
				works(t, s)
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
	works(t, c.mustOpen(t, Options{Region: "cn-north-4", AccessKey: secret(testKey), SecretKey: secret(testSecret)}))
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
	works(t, c.mustOpen(t, o))
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
		"wrong password": {options: asUser(func(o *Options) { o.Password = secret("hunter2") }), denied: true,
			says: []string{"log in as reader of an-account", "401", "The username or password is wrong", "ARCHIVER_PASSWORD"}},
		"wrong project": {options: asUser(func(o *Options) { o.Project = "other" }), denied: true, says: []string{"project other", "HUAWEICLOUD_SDK_PROJECT_ID"}},
		"no password":   {options: asUser(func(o *Options) { o.Password = extract.Secret{} }), config: true, says: []string{"ARCHIVER_PASSWORD is not set"}},
		"no user":       {options: asUser(func(o *Options) { o.Username = "" }), config: true, says: []string{"ARCHIVER_USERNAME is not set"}},
		"no domain":     {options: asUser(func(o *Options) { o.Domain = "" }), config: true, says: []string{"ARCHIVER_DOMAIN is not set"}},
		"no project": {options: asUser(func(o *Options) { o.Region, o.Project = "", "" }), config: true,
			says: []string{"ARCHIVER_PROJECT", "HUAWEICLOUD_SDK_PROJECT_ID"}},
		"two projects": {options: asUser(func(o *Options) { o.ProjectID = testProject }), config: true, says: []string{"are both set"}},
		"keys, an unknown project": {options: Options{Project: "other", AccessKey: secret(testKey), SecretKey: secret(testSecret)},
			says: []string{"look up project other", "no project of that name", "ARCHIVER_PROJECT"}},
		"keys that are wrong": {options: Options{Project: shop, AccessKey: secret(testKey), SecretKey: secret("hunter2")}, denied: true,
			says: []string{"look up project", "401", "check the credentials"}},
		"a token that is wrong": {options: Options{Project: shop, AuthToken: secret("hunter2")}, denied: true, says: []string{"401", "a token lives for at most 24 hours"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newCloud(t, machineClock).open(t, test.options)
			if err == nil || errors.Is(err, ErrOptions) != test.config || errors.Is(err, archive.ErrDenied) != test.denied {
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
			oneLine(t, err)
		})
	}
}

// All calls share one token. It is renewed once, shortly before it expires.
func TestTokenRenewal(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := c.mustOpen(t, asUser(func(o *Options) { o.ProjectID, o.Project = testProject, "" }))
	logins := func(want int64) {
		t.Helper()
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { works(t, s) })
		}
		calls.Wait()
		if n := c.Stats().KeystoneCreateUserTokenByPassword; n != want {
			t.Errorf("at %s: %d tokens were fetched, want %d", c.clock.Now(), n, want)
		}
	}
	if n := c.Stats().KeystoneCreateUserTokenByPassword; n != 0 {
		t.Errorf("%d tokens were fetched before a call", n)
	}
	logins(1)
	c.clock.Advance(24*time.Hour - renewBefore - time.Second)
	logins(1)
	c.clock.Advance(time.Second)
	logins(2)
	c.clock.Advance(24*time.Hour - renewBefore)
	logins(3)
	if n := c.Stats().Forbidden; n != 0 {
		t.Errorf("%d calls were refused", n)
	}
}

// A token that lives for a short time is renewed after three quarters of its
// life.
func TestTokenShortLife(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *simulate.Options) { o.TokenLife = 4 * time.Minute })
	s := c.mustOpen(t, asUser())
	for minute := range 12 {
		works(t, s)
		if n, want := c.Stats().KeystoneCreateUserTokenByPassword, int64(1+minute/3); n != want {
			t.Errorf("minute %d: %d tokens, want %d", minute, n, want)
		}
		c.clock.Advance(time.Minute)
	}
}

// When a token is revoked, the first refused call fetches a new one for all
// calls, and each refused call is made again.
func TestTokenRevoked(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusUnauthorized} {
		c := newCloud(t)
		s := c.mustOpen(t, asUser())
		works(t, s)
		c.Revoke()
		if status == http.StatusUnauthorized { // a gateway's answer
			c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				recorded := httptest.NewRecorder()
				c.ServeHTTP(recorded, r)
				if recorded.Code == http.StatusForbidden {
					recorded.Code = status
				}
				for name := range recorded.Header() {
					w.Header().Set(name, recorded.Header().Get(name))
				}
				w.WriteHeader(recorded.Code)
				_, _ = w.Write(recorded.Body.Bytes())
				return true
			})
		}
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { works(t, s) })
		}
		calls.Wait()
		if n := c.Stats().KeystoneCreateUserTokenByPassword; n != 2 {
			t.Errorf("%d: %d tokens were fetched, want 2", status, n)
		}
	}
}

// When the new token is refused too, the call fails: one login, and two tries
// of each call.
func TestTokenDenied(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := c.mustOpen(t, asUser())
	var api atomic.Int64
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/v3/") {
			return false
		}
		api.Add(1)
		says(http.StatusForbidden, `{"error_code":"FSS.0403","error_msg":"invalid token `+r.Header.Get("X-Auth-Token")+`"}`).ServeHTTP(w, r)
		return true
	})
	_, err := functions(t.Context(), s)
	if !errors.Is(err, archive.ErrDenied) || strings.Contains(err.Error(), "MIIF") || !strings.Contains(err.Error(), "permission FunctionGraph:function:list") {
		t.Errorf("got %v", err)
	}
	if n := c.Stats().KeystoneCreateUserTokenByPassword; n != 2 || api.Load() != 2 {
		t.Errorf("%d tokens, %d calls", n, api.Load())
	}
}

// No call repeats a refused password within a minute, because IAM locks users
// out after a few tries. A new password in the file is tried at once.
func TestPasswordRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	t.Setenv("TEST_PASSWORD_FILE", file)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old-password\n")
	c := newCloud(t)
	s := c.mustOpen(t, asUser(func(o *Options) {
		o.ProjectID, o.Project, o.Password = testProject, "", extract.SecretFrom("TEST_PASSWORD")
	}))
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			if _, err := functions(t.Context(), s); !errors.Is(err, archive.ErrDenied) || strings.Contains(err.Error(), "old-password") {
				t.Errorf("got %v", err)
			}
		})
	}
	calls.Wait()
	if n := c.Stats().Unauthorized; n != 1 {
		t.Errorf("the wrong password was tried %d times", n)
	}
	c.clock.Advance(loginPause)
	if _, err := functions(t.Context(), s); !errors.Is(err, archive.ErrDenied) || c.Stats().Unauthorized != 2 {
		t.Errorf("a minute later: %v, %d tries", err, c.Stats().Unauthorized)
	}
	write(testPassword)
	works(t, s)
}

// While the identity service is down, an unexpired token stays in use.
func TestTokenServiceDown(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := c.mustOpen(t, asUser())
	works(t, s)
	var down atomic.Bool
	down.Store(true)
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if down.Load() && strings.HasPrefix(r.URL.Path, "/v3/") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	c.clock.Advance(24*time.Hour - renewBefore)
	works(t, s)
	c.clock.Advance(renewBefore)
	if _, err := functions(t.Context(), s); err == nil || errors.Is(err, archive.ErrDenied) || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "ARCHIVER_IAM_ENDPOINT") {
		t.Errorf("once it has run out: %v", err)
	}
	down.Store(false)
	works(t, s)
}

// Errors of the identity service have one line and contain no secret, and a
// project id fits into a URL path.
func TestIdentityAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"a web page":    says(200, "<html>\n").ServeHTTP,
		"nothing":       says(200, "").ServeHTTP,
		"a list":        says(200, "[]").ServeHTTP,
		"an empty one":  says(200, "{}").ServeHTTP,
		"a number":      says(200, `{"projects":[{"id":17,"name":"`+shop+`"}],"token":{"expires_at":17}}`).ServeHTTP,
		"a strange id":  says(200, `{"projects":[{"id":"../../v2","name":"`+shop+`"}]}`).ServeHTTP,
		"another name":  says(200, `{"projects":[{"id":"`+testProject+`","name":"other"}]}`).ServeHTTP,
		"two of a name": says(200, `{"projects":[{"id":"a","name":"`+shop+`"},{"id":"b","name":"`+shop+`"}]}`).ServeHTTP,
		"refused":       says(400, `{"error":{"code":400,"message":"no\nand no","title":"Bad Request"}}`).ServeHTTP,
		"moved":         http.RedirectHandler("/login", http.StatusFound).ServeHTTP,
		"a strange token": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Subject-Token", "a token\tof two")
			says(201, `{"token":{}}`).ServeHTTP(w, r)
		},
	} {
		for who, o := range map[string]Options{
			"keys": {Project: shop, AccessKey: secret(testKey), SecretKey: secret(testSecret)}, "user": asUser(),
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
				oneLine(t, err)
			})
		}
	}
}

// A login works even if the answer lacks the expiry or the project.
func TestTokenSaysLittle(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing at all": `{"token":{}}`, "an end that is past": `{"token":{"expires_at":"2020-01-01T00:00:00.000000Z"}}`,
		"an end in words": `{"token":{"expires_at":"soon"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			var logins atomic.Int64
			c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v3/auth/tokens" {
					return false
				}
				logins.Add(1)
				w.Header().Set("X-Subject-Token", "a-user-token")
				says(http.StatusCreated, body).ServeHTTP(w, r)
				return true
			})
			s := c.mustOpen(t, asUser())
			works(t, s)
			works(t, s)
			if logins.Load() != 1 || c.Stats().KeystoneListProjects != 1 {
				t.Errorf("%d logins, %d times asked for the project", logins.Load(), c.Stats().KeystoneListProjects)
			}
		})
	}
}

// Cancelling ends the look-up of the project at once, in each phase.
func TestNewCancelled(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"keys":  {Project: shop, AccessKey: secret(testKey), SecretKey: secret(testSecret)},
		"token": {Project: shop, AuthToken: secret("a-user-token")},
		"user":  asUser(),
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
	works(t, s)
	write("second")
	accept("second")
	works(t, s)
	write("")
	works(t, s)
	write("two words")
	works(t, s)
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
	works(t, s)
}
