package functiongraph

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
)

// keyFiles are keys in files that change.
type keyFiles struct {
	t   *testing.T
	dir string
}

func newVault(t *testing.T) *keyFiles {
	t.Helper()
	v := &keyFiles{t, t.TempDir()}
	for _, name := range []string{"TEST_AK", "TEST_SK", "TEST_ST"} {
		t.Setenv(name+"_FILE", filepath.Join(v.dir, "now", name))
	}
	return v
}

// put overwrites the file of one key.
func (v *keyFiles) put(name, value string) {
	v.t.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, "now", name), []byte(value+"\n"), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// swap replaces all files at once, like a mounted Kubernetes secret.
func (v *keyFiles) swap(version string) {
	v.t.Helper()
	dir := filepath.Join(v.dir, version)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		v.t.Fatal(err)
	}
	for _, name := range []string{"TEST_AK", "TEST_SK", "TEST_ST"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(version), 0o600); err != nil {
			v.t.Fatal(err)
		}
	}
	next := filepath.Join(v.dir, "next")
	if err := os.Symlink(version, next); err != nil {
		v.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(v.dir, "now")); err != nil {
		v.t.Fatal(err)
	}
}

func (v *keyFiles) options() Options {
	return Options{
		AccessKey: extract.SecretFrom("TEST_AK"), SecretKey: extract.SecretFrom("TEST_SK"), SecurityToken: extract.SecretFrom("TEST_ST"),
	}
}

func (v *keyFiles) pair(clock archive.Clock) *keyPair {
	v.t.Helper()
	k, err := newKeyPair(v.options(), clock)
	if err != nil {
		v.t.Fatal(err)
	}
	return k
}

func mustProof(t *testing.T, who identity) keys {
	t.Helper()
	p, err := who.credentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p.keys
}

// If only some of the keys have changed, the old keys stay in use.
func TestKeysChangeTogether(t *testing.T) {
	v := newVault(t)
	v.swap("one")
	k := v.pair(clocktest.NewInstant(noon))
	one, two := keys{"one", "one", "one"}, keys{"two", "two", "two"}
	for _, step := range []struct {
		name, value string
		want        keys
	}{
		{"TEST_AK", "one", one}, {"TEST_AK", "two", one}, {"TEST_SK", "", one}, {"TEST_SK", "two", one}, {"TEST_ST", "two", two},
	} {
		v.put(step.name, step.value)
		if got := mustProof(t, k); got != step.want {
			t.Errorf("after %s=%s: %v", step.name, step.value, got)
		}
	}
	v.swap("three")
	if got := mustProof(t, k); got != (keys{"three", "three", "three"}) {
		t.Errorf("after a swap: %v", got)
	}
}

// While the files are swapped, each call sees keys of one set.
func TestKeysAreNeverMixed(t *testing.T) {
	v := newVault(t)
	v.swap("0")
	k := v.pair(clocktest.NewInstant(noon))
	done := make(chan struct{})
	var readers sync.WaitGroup
	seen := make([]map[string]bool, 4)
	for i := range seen {
		seen[i] = make(map[string]bool)
		readers.Go(func() {
			for {
				p, err := k.credentials(t.Context())
				if err != nil || p.keys.access != p.keys.secret || p.keys.secret != p.keys.security {
					t.Errorf("%v, %v", p.keys, err)
				}
				seen[i][p.keys.access] = true
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := range 100 {
		v.swap(strings.Repeat("n", n%7+1))
	}
	close(done)
	readers.Wait()
	all := make(map[string]bool)
	for _, s := range seen {
		maps.Copy(all, s)
	}
	if len(all) < 3 {
		t.Errorf("only %v were seen: the test shows nothing", slices.Collect(maps.Keys(all)))
	}
}

// After a refusal the keys are read again: the same keys are refused for good,
// new keys are tried, and an incomplete change is waited for.
func TestKeysRefused(t *testing.T) {
	v := newVault(t)
	v.swap("one")
	clock := clocktest.NewInstant(noon)
	k := v.pair(clock)
	one := credentials{keys: keys{"one", "one", "one"}}
	if p, err := k.replacement(t.Context(), one); p != one || err != nil || !clock.Now().Equal(noon) {
		t.Errorf("the same: %v, %v at %s", p, err, clock.Now())
	}
	v.put("TEST_AK", "two")
	if p, err := k.replacement(t.Context(), one); p.keys != (keys{"two", "one", "one"}) || err != nil || clock.Now().Sub(noon) != (maxReads-1)*rereadPause {
		t.Errorf("half: %v, %v at %s", p, err, clock.Now())
	}
	v.swap("three")
	now := clock.Now()
	if p, err := k.replacement(t.Context(), one); p.keys != (keys{"three", "three", "three"}) || err != nil || !clock.Now().Equal(now) {
		t.Errorf("whole: %v, %v", p, err)
	}
	v.put("TEST_SK", "")
	if _, err := k.replacement(t.Context(), one); err == nil || !strings.Contains(err.Error(), "TEST_SK_FILE") {
		t.Errorf("empty: %v", err)
	}
}

// Keys that are replaced between two calls, or between a call and its refusal,
// work without an error. The simulator checks the signatures.
func TestKeysRotated(t *testing.T) {
	v := newVault(t)
	v.swap("before")
	c := newCloud(t, machineClock)
	o := v.options()
	o.ProjectID, o.SecurityToken = testProject, extract.Secret{}
	s := c.mustOpen(t, o)
	_, err := functions(t.Context(), s)
	if !errors.Is(err, archive.ErrDenied) || !strings.Contains(err.Error(), "TEST_AK_FILE, TEST_SK_FILE") || c.Stats().Forbidden != 1 {
		t.Errorf("got %v after %d refusals", err, c.Stats().Forbidden)
	}
	v.put("TEST_AK", testKey)
	v.put("TEST_SK", testSecret)
	checkWorks(t, s)
	if c.Stats().Forbidden != 1 {
		t.Errorf("%d refusals", c.Stats().Forbidden)
	}

	v.put("TEST_AK", "other-key")
	v.put("TEST_SK", "other-secret")
	c.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.Header.Get("Authorization"), "other-key") {
			v.put("TEST_AK", testKey)
			v.put("TEST_SK", testSecret)
		}
		return false
	})
	checkWorks(t, s)
	if c.Stats().Forbidden != 2 {
		t.Errorf("%d refusals", c.Stats().Forbidden)
	}
}

// A missing file, or a value that cannot be in a header, is an error at the
// start.
func TestKeysUnreadable(t *testing.T) {
	v := newVault(t)
	v.swap("one")
	v.put("TEST_SK", "hunter2 hunter2")
	if _, err := newKeyPair(v.options(), clocktest.NewInstant(noon)); !errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), "TEST_SK_FILE") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(v.dir, "now", "TEST_ST")); err != nil {
		t.Fatal(err)
	}
	v.put("TEST_SK", "one")
	if _, err := newKeyPair(v.options(), clocktest.NewInstant(noon)); !errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), "TEST_ST_FILE") {
		t.Errorf("got %v", err)
	}
}
