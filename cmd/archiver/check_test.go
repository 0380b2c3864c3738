package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archiver/internal/pgserver"
	"archiver/internal/simulate"
	"archiver/internal/terminal"
)

// deny refuses calls with a path that ends with the suffix.
func deny(next http.Handler, suffix string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error_code":"FSS.0403","error_msg":"no permission"}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unset answers questions for settings with none.
func unset(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/async-invoke-configs") {
			_, _ = w.Write([]byte(`{"async_invoke_configs":[],"count":0}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Each line of check says whether one thing is right, and what to do if it is not.
// The exit code tells whether everything is right.
func TestCheck(t *testing.T) {
	t.Parallel()
	data := generated(t, 3, 300, 1)
	well, web := simulator(t, data)
	name := data.Functions()[0]
	urn := "urn:fss:" + simulate.DefaultRegion + ":" + simulate.DefaultProjectID + ":function:default:" + name + ":latest"
	wellURL, off := web.URL, newServer(t, faulty(t, data, "log-off", nil))
	for _, test := range []struct {
		name  string
		url   string
		env   []string
		args  []string
		code  int
		says  []string // on standard output, or standard error where nothing was tried
		ready bool     // migrated
	}{
		{
			name: "all is well", url: wellURL, ready: true, code: exitDone,
			says: []string{"ok configuration: complete", "ok credentials: accepted, 3 functions listed", "ok invocations: may be read", "ok database 127.0.0.1:", "the schema is up to date"},
		},
		{name: "an empty database", url: wellURL, code: exitDone, says: []string{"it has no archive yet: the first run makes one"}},
		{name: "not to be migrated", url: wellURL, args: []string{"--no-migrate"}, code: exitIncomplete, says: []string{"FAIL database", "run archiver migrate up"}},
		{
			name: "no database", url: wellURL, env: []string{"DATABASE_URL=postgres://someone:very-secret@127.0.0.1:1/archive"},
			code: exitIncomplete, says: []string{"FAIL database 127.0.0.1:1/archive", "check DATABASE_URL", "ok credentials"},
		},
		{
			name: "a database without TLS", url: wellURL, env: []string{"DATABASE_URL=postgres://someone:very-secret@0.0.0.0:1/archive"},
			code: exitIncomplete, says: []string{"warn database 0.0.0.0:1/archive: 0.0.0.0 may be reached without TLS", "sslmode=verify-full"},
		},
		{
			name: "a lookback that is too long", url: wellURL, ready: true, code: exitDone, env: []string{"ARCHIVER_SOURCE_RETENTION=7d"},
			args: []string{"--lookback", "40d"}, says: []string{"warn lookback: --lookback 40d is longer than --source-retention 7d"},
		},
		{name: "status log off", url: off, ready: true, code: exitIncomplete, says: []string{"status log off, the source keeps no records: turn on enable_async_status_log"}},
		{name: "the others", url: off, ready: true, args: []string{"--functions", "!*"}, code: exitIncomplete, says: []string{"FAIL functions: none was found"}},
		{name: "no settings", url: newServer(t, unset(well)), ready: true, code: exitDone, says: []string{"does not say whether it keeps records"}},
		{name: "wrong key", url: wellURL, env: []string{"HUAWEICLOUD_SDK_SK=wrong"}, ready: true, code: exitIncomplete, says: []string{"FAIL credentials", "check the credentials", "ok database"}},
		{
			name: "settings denied", url: newServer(t, deny(well, "/async-invoke-configs")), ready: true, code: exitIncomplete,
			says: []string{"FAIL settings", "FSS.0403", "to read asynchronous invocation settings"},
		},
		{
			name: "invocations denied", url: newServer(t, deny(well, "/async-invocations")), ready: true, code: exitIncomplete,
			says: []string{"FAIL invocations", "to read asynchronous invocations"},
		},
		{
			name: "functions denied, one is named", url: newServer(t, deny(well, "/fgs/functions")), ready: true, code: exitDone,
			args: []string{"--functions", urn}, says: []string{"ok functions: cannot be listed, 1 are named", "FSS.0403", "ok invocations: may be read"},
		},
		{
			name: "a function denied", url: newServer(t, deny(well, name+":latest/async-invocations")), ready: true, code: exitIncomplete,
			says: []string{"FAIL function " + name, "FSS.0403", "ok invocations: may be read"},
		},
		{
			name: "settings of a function denied", url: newServer(t, deny(well, name+":latest/async-invoke-configs")), ready: true, code: exitIncomplete,
			says: []string{"FAIL function " + name + ": list the settings", "FSS.0403", ": the source keeps records"},
		},
		{name: "no credentials", url: wellURL, env: []string{"HUAWEICLOUD_SDK_AK=", "HUAWEICLOUD_SDK_SK="}, code: exitUsage, says: []string{"set HUAWEICLOUD_SDK_AK"}},
		{name: "no database address", url: wellURL, env: []string{"DATABASE_URL="}, code: exitUsage, says: []string{"DATABASE_URL is not set"}},
		{name: "a bad glob", url: wellURL, args: []string{"--functions", "a["}, code: exitUsage, says: []string{"glob"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			with := installEmpty
			if test.ready {
				with = install
			}
			in := with(t, test.url)
			code, stdout, stderr := in.run(append([]string{"ARCHIVER_LOG_LEVEL=error"}, test.env...), append([]string{"check"}, test.args...)...)
			said := stdout
			if test.code == exitUsage {
				said = stderr
			}
			for _, part := range test.says {
				if !strings.Contains(terminal.Line(said), part) {
					t.Errorf("it does not say %q", part)
				}
			}
			if code != test.code || strings.Contains(stdout+stderr, "very-secret") || test.code == exitUsage && stdout != "" {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			if fails := strings.Count(stdout, "FAIL  "); fails > 1 || (fails == 1) != (code == exitIncomplete) {
				t.Errorf("%d checks failed, exit %d", fails, code)
			}
			if !test.ready && strings.Contains(stdout, "no archive yet") && queryValue[int64](in, `SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'archiver_internal', 'archiver_days')`) != 0 {
				t.Error("it made something in the database")
			}
			if t.Failed() {
				t.Logf("stdout:\n%s\nstderr:\n%s", stdout, stderr)
			}
		})
	}
}

// A role that lacks a grant is told which, and who gives it.
func TestCheckGrants(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 1, 10, 1))
	in := install(t, web.URL)
	role := fmt.Sprintf("analyst_%d", time.Now().UnixNano())
	exec := func(sql string) {
		t.Helper()
		if err := pgserver.Exec(t.Context(), in.database, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE ROLE " + role + " LOGIN PASSWORD 'p'")
	t.Cleanup(func() {
		if err := pgserver.Exec(context.Background(), in.database, "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	address, err := url.Parse(in.database)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(role, "p")
	check := func(code int, parts ...string) {
		t.Helper()
		got, stdout, stderr := in.run([]string{"DATABASE_URL=" + address.String()}, "check")
		for _, part := range parts {
			if got != code || !strings.Contains(terminal.Line(stdout), part) {
				t.Errorf("exit %d, want %d and %q\n%s%s", got, code, part, stdout, stderr)
			}
		}
	}
	check(exitIncomplete, "FAIL database", "may not look into the schema", "GRANT archiver_reader TO "+role)
	exec("GRANT USAGE ON SCHEMA archiver_internal, archiver_days TO " + role + "; GRANT SELECT ON functions, archiver_internal.windows, invocations TO " + role)
	check(exitIncomplete, "FAIL database", "may not read", "window_coverage", "GRANT archiver_reader TO "+role)
	if code, _, stderr := in.run([]string{"DATABASE_URL=" + address.String()}, "status"); code != exitIncomplete || !strings.Contains(stderr, "GRANT archiver_reader TO "+role) {
		t.Errorf("status: exit %d\n%s", code, stderr)
	}
	exec("GRANT archiver_reader TO " + role)
	check(exitDone, "warn database", "may only read")
}

// A database beyond this machine is exposed unless its certificate is checked, wherever
// that is set.
func TestExposedWays(t *testing.T) {
	dir := t.TempDir()
	service, authority := filepath.Join(dir, "service"), filepath.Join(dir, "authority")
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	for name, text := range map[string]string{
		service:   "[good]\nhost=db.example\nsslmode=verify-full\n[bad]\nhost=db.example\nsslmode=require\n",
		authority: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PGSERVICEFILE", service)
	const plain, unchecked, anyHost = "without TLS", "without checking the certificate", "without checking that the certificate is of this host"
	for _, mode := range []string{"", "verify-full"} {
		t.Setenv("PGSSLMODE", mode)
		for address, want := range map[string][]string{
			"postgres://db.example/archive":                                              {unchecked, plain},
			"postgres://db.example/archive?sslmode=disable":                              {plain},
			"postgres://db.example/archive?sslmode=allow":                                {plain, unchecked},
			"postgres://db.example/archive?sslmode=require":                              {unchecked},
			"postgres://db.example/archive?sslmode=require&sslrootcert=" + authority:     {anyHost},
			"postgres://db.example/archive?sslmode=verify-ca&sslrootcert=" + authority:   {anyHost},
			"postgres://db.example/archive?sslmode=verify-full&sslrootcert=" + authority: nil,
			"postgres://db.example/archive?sslmode=verify-full":                          nil,
			"postgres://db.example/archive?sslrootcert=system":                           nil,
			"postgres://localhost/archive":                                               nil,
			"postgres://127.0.0.1,[::1]/archive?sslmode=disable":                         nil,
			"postgres:///archive?host=/var/run/postgresql":                               nil,
			"postgres://127.0.0.1,a.example,b.example:6432/archive?sslmode=disable":      {"a.example", "b.example"},
			"service=good":                            nil,
			"service=bad":                             {unchecked},
			"host=10.0.0.7 dbname=a sslmode=disable":  {plain},
			"postgres://user:secret@db.example:port/": nil,
		} {
			if mode != "" && address == "postgres://db.example/archive" {
				want = nil
			}
			got := exposedWays(address)
			if len(got) != len(want) {
				t.Errorf("PGSSLMODE=%s %s: %q, want %q", mode, address, got, want)
				continue
			}
			for i, part := range want {
				if !strings.Contains(got[i], part) {
					t.Errorf("PGSSLMODE=%s %s: %q, want %q", mode, address, got, want)
				}
			}
		}
	}
}
