package functiongraph

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Temporary keys that the SDK finds are renewed before they expire, once for
// all calls. If the renewal fails, the old keys stay in use. The test uses a
// pod's keys, because their address can be configured; the SDK renews a cloud
// host's keys in the same way.
func TestFoundKeysAreRenewed(t *testing.T) {
	dir := t.TempDir()
	var issued, down atomic.Int64
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		// The SDK renews keys that expire within 40 minutes.
		fmt.Fprintf(w, `{"credentials":{"accessKeyId":%q,"secretAccessKey":%q,"securityToken":"temporary-%d","expiration":%q}}`,
			testKey, testSecret, issued.Add(1), time.Now().Add(30*time.Minute).UTC().Format("2006-01-02T15:04:05Z"))
	}))
	defer issuer.Close()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("of the pod"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HUAWEICLOUD_SDK_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	t.Setenv("HC_CONTAINER_CREDENTIALS_FULL_URI", issuer.URL)
	t.Setenv("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", filepath.Join(dir, "token"))

	c := newCloud(t, machineClock)
	var refused atomic.Pointer[string]
	none := ""
	refused.Store(&none)
	seen := make(map[string]bool)
	var mu sync.Mutex
	c.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		token := r.Header.Get("X-Security-Token")
		mu.Lock()
		defer mu.Unlock()
		seen[token] = true
		if token == *refused.Load() || !strings.HasPrefix(token, "temporary-") {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return false
	})
	s := c.mustOpen(t, Options{Project: shop})
	checkWorks(t, s)
	if issued.Load() != 1 {
		t.Errorf("keys were issued %d times", issued.Load())
	}
	c.clock.Advance(renewalPause)
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() { checkWorks(t, s) })
	}
	calls.Wait()
	if issued.Load() != 2 || !seen["temporary-2"] {
		t.Errorf("keys were issued %d times, seen were %v", issued.Load(), seen)
	}
	down.Store(1)
	c.clock.Advance(renewalPause)
	checkWorks(t, s)
	down.Store(0)
	gone := "temporary-2"
	refused.Store(&gone)
	checkWorks(t, s)
	if issued.Load() != 3 || !seen["temporary-3"] {
		t.Errorf("after a refusal keys were issued %d times, seen were %v", issued.Load(), seen)
	}
}

// The profile file names keys and project, and is read again when the keys are
// refused. The error names an unusable file and does not quote it.
func TestProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("HUAWEICLOUD_SDK_CREDENTIALS_FILE", file)
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("[basic]\nak = "+testKey+"\nsk = "+secret+"\nproject_id = "+testProject+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old-secret")
	c := newCloud(t, machineClock)
	s := c.mustOpen(t, Options{})
	if s.ID().ProjectID != testProject {
		t.Errorf("project %s", s.ID().ProjectID)
	}
	if _, err := functions(t.Context(), s); err == nil || !strings.Contains(err.Error(), "profile file") {
		t.Errorf("got %v", err)
	}
	write(testSecret)
	checkWorks(t, s)
	if err := os.WriteFile(file, []byte("[basic\nsk hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.open(t, Options{}); err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
