package functiongraph

import (
	"errors"
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
	"archiver/internal/extract"
	"archiver/internal/simulate"
)

// All calls share one token. It is renewed once, shortly before it expires.
func TestTokenRenewal(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := c.mustOpen(t, userOptions(func(o *Options) { o.ProjectID, o.Project = testProject, "" }))
	logins := func(want int64) {
		t.Helper()
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { checkWorks(t, s) })
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
	s := c.mustOpen(t, userOptions())
	for minute := range 12 {
		checkWorks(t, s)
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
		s := c.mustOpen(t, userOptions())
		checkWorks(t, s)
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
			calls.Go(func() { checkWorks(t, s) })
		}
		calls.Wait()
		if n := c.Stats().KeystoneCreateUserTokenByPassword; n != 2 {
			t.Errorf("%d: %d tokens were fetched, want 2", status, n)
		}
	}
}

// Functions that are refused with any token do not cost a login each.
func TestTokenRefusedForFunctions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := c.mustOpen(t, userOptions())
	checkWorks(t, s)
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		refuses := strings.HasSuffix(r.URL.Path, "/async-invocations")
		if refuses {
			w.WriteHeader(http.StatusForbidden)
		}
		return refuses
	})
	for range 20 {
		if _, err := read(t.Context(), s, hour); !errors.Is(err, archive.ErrDenied) {
			t.Error(err)
		}
		c.clock.Advance(10 * time.Second)
	}
	checkWorks(t, s)
	if n := c.Stats().KeystoneCreateUserTokenByPassword; n > 5 {
		t.Errorf("%d tokens were fetched in 200 seconds", n)
	}
}

// When the new token is refused too, the call fails: one login, and two tries
// of each call.
func TestTokenDenied(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := c.mustOpen(t, userOptions())
	var api atomic.Int64
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/v3/") {
			return false
		}
		api.Add(1)
		answerWith(http.StatusForbidden, `{"error_code":"FSS.0403","error_msg":"invalid token `+r.Header.Get("X-Auth-Token")+`"}`).ServeHTTP(w, r)
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
	s := c.mustOpen(t, userOptions(func(o *Options) {
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
	checkWorks(t, s)
}

// While the identity service is down, an unexpired token stays in use.
func TestTokenServiceDown(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := c.mustOpen(t, userOptions())
	checkWorks(t, s)
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
	checkWorks(t, s)
	c.clock.Advance(renewBefore)
	if _, err := functions(t.Context(), s); err == nil || errors.Is(err, archive.ErrDenied) || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "ARCHIVER_IAM_ENDPOINT") {
		t.Errorf("once it has run out: %v", err)
	}
	down.Store(false)
	checkWorks(t, s)
}

// A login works even if the answer lacks the expiry or the project.
func TestTokenAnswerIncomplete(t *testing.T) {
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
				answerWith(http.StatusCreated, body).ServeHTTP(w, r)
				return true
			})
			s := c.mustOpen(t, userOptions())
			checkWorks(t, s)
			checkWorks(t, s)
			if logins.Load() != 1 || c.Stats().KeystoneListProjects != 1 {
				t.Errorf("%d logins, %d times asked for the project", logins.Load(), c.Stats().KeystoneListProjects)
			}
		})
	}
}
