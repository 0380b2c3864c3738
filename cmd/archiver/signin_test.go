package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/simulate"
)

// The user who may sign in to the simulators of the tests.
const (
	testUser     = "test-reader"
	testPassword = `test "pass" word`
	testDomain   = "test-account"
)

// signInServer serves data for each way to sign in. Its clock is the clock of the
// machine, so that signatures are valid.
func signInServer(t *testing.T) (*simulate.Server, string) {
	t.Helper()
	api, err := simulate.New(simulate.Options{
		Data: generated(t, 3, 300, 1), AccessKey: testAccessKey, SecretKey: testSecretKey, Token: testToken,
		User: testUser, Password: testPassword, Domain: testDomain, ProjectName: "eu-de_shop",
	})
	if err != nil {
		t.Fatal(err)
	}
	return api, newServer(t, api)
}

// nobody removes all credentials from an installation.
func (in *installation) nobody(endpoint string) *installation {
	in.env = append(in.env, "HUAWEICLOUD_SDK_AK=", "HUAWEICLOUD_SDK_SK=", "HUAWEICLOUD_SDK_PROJECT_ID=",
		"ARCHIVER_IAM_ENDPOINT="+endpoint)
	return in
}

// file writes a text to a file that exists during the test.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ways returns the environment of each way to sign in.
func ways(t *testing.T, access, secret, security, token, password string) map[string][]string {
	t.Helper()
	return map[string][]string{
		"keys": {"HUAWEICLOUD_SDK_AK=" + access, "HUAWEICLOUD_SDK_SK=" + secret},
		"temporary keys": {
			"HUAWEICLOUD_SDK_AK=" + access, "HUAWEICLOUD_SDK_SK=" + secret, "HUAWEICLOUD_SDK_SECURITY_TOKEN=" + security,
		},
		"keys in files": {
			"HUAWEICLOUD_SDK_AK_FILE=" + file(t, access), "HUAWEICLOUD_SDK_SK_FILE=" + file(t, secret+"\n"),
			"HUAWEICLOUD_SDK_SECURITY_TOKEN_FILE=" + file(t, security),
		},
		"profile":         {"HUAWEICLOUD_SDK_CREDENTIALS_FILE=" + file(t, fmt.Sprintf("[basic]\nak = %s\nsk = %s\nsecurity_token = %s\n", access, secret, security))},
		"token":           {"ARCHIVER_AUTH_TOKEN=" + token},
		"token in a file": {"ARCHIVER_AUTH_TOKEN_FILE=" + file(t, token)},
		"user":            {"ARCHIVER_USERNAME=" + testUser, "ARCHIVER_DOMAIN=" + testDomain, "ARCHIVER_PASSWORD=" + password},
		"user, password in a file": {
			"ARCHIVER_USERNAME=" + testUser, "ARCHIVER_DOMAIN=" + testDomain, "ARCHIVER_PASSWORD_FILE=" + file(t, password+"\n"),
		},
	}
}

// TestSignIn archives a day with each way to sign in, and the project given by name.
func TestSignIn(t *testing.T) {
	t.Parallel()
	_, endpoint := signInServer(t)
	for name, env := range ways(t, testAccessKey, testSecretKey, "any", testToken, testPassword) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t, endpoint).nobody(endpoint)
			in.env = append(in.env, env...)
			in.backfill("--project", "eu-de_shop")
			if n := queryValue[int64](in, `SELECT count(*) FROM invocation_history WHERE project_id = $1`, simulate.DefaultProjectID); n != 300 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// echo refuses every call with a status. It repeats the whole request in each place
// that an error message is read from.
func echo(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var heard strings.Builder
		_ = r.Header.Write(&heard)
		all := r.Method + " " + r.RequestURI + " " + heard.String() + " " + string(body)
		answer, _ := json.Marshal(map[string]any{
			"error_code": all, "error_msg": all, "error": map[string]string{"code": all, "message": all, "title": all},
		})
		flat := strings.Join(strings.Fields(all), " ")
		for _, name := range []string{"X-Request-Id", "Location", "Retry-After"} {
			w.Header().Set(name, flat)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	})
}

// TestSecretsAreNeverShown runs a backfill with each kind of credentials against
// a service that refuses them and repeats each request. No secret is in the log, in
// the output, in the database or in the arguments of the process.
func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	const access, secret, security, token, password = "ACCESSKEYOFTHETEST", "secretkeyofthetest", "securitytokenofthetest", "usertokenofthetest", `pass "word" of the test`
	quoted, err := json.Marshal(password)
	if err != nil {
		t.Fatal(err)
	}
	never := []string{
		access, secret, security, token, password, strings.Trim(string(quoted), `"`), url.QueryEscape(password),
		"of the test", "Signature=",
	}
	statuses := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest, http.StatusFound, http.StatusOK, http.StatusInternalServerError, http.StatusNotFound}
	endpoints := make([]string, len(statuses))
	for i, status := range statuses {
		endpoints[i] = newServer(t, echo(status))
	}
	n := 0
	all := ways(t, access, secret, security, token, password)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, project := range []string{"ARCHIVER_PROJECT=eu-de_shop", "HUAWEICLOUD_SDK_PROJECT_ID=p"} {
			status, endpoint := statuses[n%len(statuses)], endpoints[n%len(statuses)]
			n++
			t.Run(fmt.Sprintf("%s, %s, %d", name, project, status), func(t *testing.T) {
				t.Parallel()
				in := install(t, endpoint).nobody(endpoint)
				in.env = append(append(in.env, all[name]...), project, "ARCHIVER_LOG_LEVEL=debug")
				cmd := in.command(nil, "backfill", "--from", "2026-03-29", "--to", "2026-03-30")
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
				if err != nil {
					t.Error(err)
				}
				var exit *exec.ExitError
				if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitIncomplete {
					t.Errorf("ended with %v:\n%s", err, out.String())
				}
				kept := ""
				if queryValue[bool](in, `SELECT to_regclass('runs') IS NOT NULL`) {
					kept = queryValue[string](in, `SELECT concat((SELECT string_agg(runs::text, '|') FROM runs), (SELECT string_agg(windows::text, '|') FROM archiver_internal.windows))`)
				}
				for _, secret := range never {
					for where, text := range map[string]string{"log": out.String(), "database": kept, "arguments": string(arguments)} {
						if strings.Contains(text, secret) {
							t.Errorf("%q is in the %s:\n%s", secret, where, text)
						}
					}
				}
			})
		}
	}
}

// TestNoSecretFlags checks that no flag of a command that archives takes a secret: every
// process of the machine can see flags.
func TestNoSecretFlags(t *testing.T) {
	t.Parallel()
	parser, err := newParser(new(commands), streams{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, command := range parser.Model.Children {
		if command.Name == "simulate" {
			continue // its secrets are made up
		}
		for _, group := range command.AllFlags(false) {
			for _, flag := range group {
				seen++
				for _, word := range []string{"password", "secret", "token", "ak", "sk", "key", "credential"} {
					if flag.Name == word || strings.Contains(flag.Name, "-"+word) || strings.Contains(flag.Name, word+"-") {
						t.Errorf("%s --%s", command.Name, flag.Name)
					}
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d flags were looked at", seen)
	}
	in := install(t, "http://127.0.0.1:1")
	if code, _, stderr := in.run(nil, "once", "--password=hunter2"); code != exitUsage || strings.Contains(stderr, "hunter2") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestInterruptedLookUp interrupts a command while it looks up the project.
func TestInterruptedLookUp(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	var once sync.Once
	endpoint := newServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		once.Do(func() { close(asked) })
		<-r.Context().Done()
	}))
	in := install(t, endpoint).nobody(endpoint)
	in.env = append(in.env, "HUAWEICLOUD_SDK_AK=a", "HUAWEICLOUD_SDK_SK=s", "ARCHIVER_REQUEST_TIMEOUT=10m")
	cmd := in.command(nil, "backfill", "--from", "2026-03-29", "--to", "2026-03-30")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	signalled := time.Now()
	if err := cmd.Process.Signal(interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("%v, want exit %d: %s", err, exitInterrupted, errs.String())
	}
	if took := time.Since(signalled); took > 10*time.Second {
		t.Errorf("ended %s after the signal", took)
	}
}

// TestMetadataService signs in as the agency of a cloud host. The SDK knows only one
// address of the metadata service, so the test's service is the proxy to it. Its first
// keys expire after a few calls: the run continues with the next keys.
func TestMetadataService(t *testing.T) {
	t.Parallel()
	var given, calls atomic.Int64
	api, _ := signInServer(t)
	endpoint := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") && r.Header.Get("X-Security-Token") == "temporary-1" && calls.Add(1) > 3 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if !strings.HasPrefix(r.Header.Get("X-Security-Token"), "temporary-") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		api.ServeHTTP(w, r)
	}))
	metadata := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != "169.254.169.254":
			w.WriteHeader(http.StatusBadGateway)
		case r.Method == http.MethodPut && r.URL.Path == "/meta-data/latest/api/token":
			fmt.Fprint(w, "metadata-token")
		case r.URL.Path == "/openstack/latest/securitykey" && r.Header.Get("X-Metadata-Token") == "metadata-token":
			fmt.Fprintf(w, `{"credential":{"access":%q,"secret":%q,"securitytoken":"temporary-%d","expires_at":%q}}`,
				testAccessKey, testSecretKey, given.Add(1), time.Now().Add(24*time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z"))
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	in := install(t, endpoint).nobody(endpoint)
	in.env = append(in.env, "HTTP_PROXY="+metadata, "ARCHIVER_PROJECT=eu-de_shop")
	in.backfill()
	if n := queryValue[int64](in, `SELECT count(*) FROM invocation_history`); n != 300 {
		t.Errorf("%d rows", n)
	}
	if given.Load() != 2 {
		t.Errorf("keys were asked for %d times, want 2", given.Load())
	}
}
