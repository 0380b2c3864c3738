package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"archiver/internal/simulate/dataset"
)

// TestExitCodes shows that each mistake ends with the contract's code and one
// line on standard error that says what to do.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 3, 30, 1))
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	// Nobody else listens there: another test may get this port of 127.0.0.1.
	unreachable := strings.Replace(nobody.URL, "127.0.0.1", "127.0.0.2", 1)

	backfill := []string{"backfill", "--from", "2026-03-29", "--to", "2026-03-30"}
	for _, test := range []struct {
		name string
		env  []string
		args []string
		code int
		says []string // on standard error
	}{
		{name: "all is well", args: backfill, code: exitDone},
		{
			name: "wrong secret key", env: []string{"HUAWEICLOUD_SDK_SK=wrong"}, args: backfill,
			code: exitIncomplete, says: []string{"403 FSS.0403", "check the credentials", "FunctionGraph:function:list"},
		},
		{
			name: "wrong token", env: []string{"ARCHIVER_AUTH_TOKEN=wrong"}, args: backfill,
			code: exitIncomplete, says: []string{"403 FSS.0403", "invalid token"},
		},
		{
			name: "no credentials", env: []string{"HUAWEICLOUD_SDK_AK=", "HUAWEICLOUD_SDK_SK="}, args: backfill,
			code: exitUsage, says: []string{"set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"},
		},
		{
			name: "unreachable source", env: []string{"ARCHIVER_ENDPOINT=" + unreachable}, args: backfill,
			code: exitIncomplete, says: []string{"connection refused", "ARCHIVER_ENDPOINT"},
		},
		{
			name: "unreachable database", env: []string{"DATABASE_URL=postgres://someone:very-secret@127.0.0.1:1/archive", "ARCHIVER_DATABASE_PATIENCE=0s"}, args: backfill,
			code: exitIncomplete, says: []string{"127.0.0.1:1", "check DATABASE_URL"},
		},
		{
			name: "unreadable database address", env: []string{"DATABASE_URL=postgres://someone:very-secret@127.0.0.1:port/archive"}, args: backfill,
			code: exitUsage, says: []string{"DATABASE_URL"},
		},
		{name: "no database address", env: []string{"DATABASE_URL="}, args: backfill, code: exitUsage, says: []string{"DATABASE_URL is not set"}},
		{
			name: "an hour that is not whole", args: []string{"backfill", "--from", "2026-03-29T10:20:00Z", "--to", "2026-03-30"},
			code: exitUsage, says: []string{"--from", "2026-03-29T10:00:00Z", "2026-03-29T11:00:00Z"},
		},
		{
			name: "a zone whose hours are not ours", args: []string{"backfill", "--from", "2026-03-29T00:00:00+05:30", "--to", "2026-03-30"},
			code: exitUsage, says: []string{"2026-03-28T18:00:00Z", "2026-03-28T19:00:00Z"},
		},
		{name: "no time", args: []string{"backfill", "--from", "yesterday", "--to", "2026-03-30"}, code: exitUsage, says: []string{"yesterday"}},
		{name: "from after to", args: []string{"backfill", "--from", "2026-03-30", "--to", "2026-03-29"}, code: exitUsage, says: []string{"--from must be before --to"}},
		{name: "the future", args: []string{"backfill", "--from", "2999-01-01", "--to", "2999-01-02"}, code: exitUsage, says: []string{"--from 2999-01-01T00:00:00Z lies in the future"}},
		{name: "to verify the future", args: []string{"verify", "--from", "2999-01-01", "--to", "2999-01-02"}, code: exitUsage, says: []string{"lies in the future"}},
		{name: "unknown flag", args: []string{"backfill", "--form", "2026-03-29"}, code: exitUsage, says: []string{"unknown flag --form", "--from"}},
		{name: "unknown command", args: []string{"backfil"}, code: exitUsage, says: []string{"backfil"}},
		{name: "no command", code: exitUsage, says: []string{"archiver --help"}},
		{name: "a flag's bad value", env: []string{"ARCHIVER_SETTLE=soon"}, args: []string{"once"}, code: exitUsage, says: []string{"soon", "settle"}},
		{
			name: "a retention within the lookback", args: []string{"once", "--retention", "29d"},
			code: exitUsage, says: []string{"--retention 29d is shorter than --lookback 30d"},
		},
		{name: "no patience", args: []string{"once", "--source-patience", "0s"}, code: exitUsage, says: []string{"--source-patience", "less than a second"}},
		{name: "the same of run", args: []string{"run", "--retention", "7d", "--lookback", "8d"}, code: exitUsage, says: []string{"shorter than --lookback 8d"}},
		{name: "check with a bad SCHEDULE", env: []string{"ARCHIVER_SCHEDULE=banana"}, args: []string{"check"}, code: exitUsage, says: []string{"ARCHIVER_SCHEDULE", "banana"}},
		{name: "check with a bad LOOKBACK", env: []string{"ARCHIVER_LOOKBACK=x"}, args: []string{"check"}, code: exitUsage, says: []string{"ARCHIVER_LOOKBACK", "x"}},
		{name: "check with a bad VERIFY_AFTER", env: []string{"ARCHIVER_VERIFY_AFTER=zz"}, args: []string{"check"}, code: exitUsage, says: []string{"ARCHIVER_VERIFY_AFTER", "zz"}},
		{name: "check with a bad LISTEN", env: []string{"ARCHIVER_LISTEN=nowhere"}, args: []string{"check"}, code: exitUsage, says: []string{"ARCHIVER_LISTEN", "nowhere"}},
		{name: "check with a bad DRY_RUN", env: []string{"ARCHIVER_DRY_RUN=perhaps"}, args: []string{"check"}, code: exitUsage, says: []string{"ARCHIVER_DRY_RUN", "perhaps"}},
		{name: "a retention within the lookback, in check", env: []string{"ARCHIVER_RETENTION=5d"}, args: []string{"check"}, code: exitUsage, says: []string{"shorter than --lookback"}},
		{name: "no function", args: append(slices.Clone(backfill), "--function", ""), code: exitUsage, says: []string{"--function is empty"}},
		{name: "no function among others", args: append(slices.Clone(backfill), "--function", ",orders"), code: exitUsage, says: []string{"names no function"}},
		{name: "all but no function", args: append(slices.Clone(backfill), "--function", "!"), code: exitUsage, says: []string{"names no function"}},
		{name: "no source", args: []string{"once", "--source", ""}, code: exitUsage, says: []string{"--source is empty"}},
		{name: "limits of nothing", args: []string{"limits", "--reset", "--region", ""}, code: exitUsage, says: []string{"--region is empty"}},
		{name: "a bad schedule", args: []string{"run", "--schedule", "every hour"}, code: exitUsage, says: []string{"--schedule", "five fields"}},
		{name: "profiles for other machines", args: append(backfill, "--pprof", ":6060"), code: exitUsage, says: []string{"--pprof", "loopback"}},
		{name: "profiles by a name", args: []string{"once", "--pprof", "archive.example.com:6060"}, code: exitUsage, says: []string{"--pprof", "loopback"}},
		{name: "profiles without a port", args: []string{"run", "--pprof", "127.0.0.1"}, code: exitUsage, says: []string{"--pprof", "port"}},
		{name: "a bad glob", args: append(backfill, "--function", "a["), code: exitUsage, says: []string{"glob"}},
		{
			name: "http beyond this machine", env: []string{"ARCHIVER_ENDPOINT=http://functiongraph.example.com"}, args: backfill,
			code: exitUsage, says: []string{"https://", "--insecure"},
		},
		{
			name: "an unknown region", env: []string{"ARCHIVER_ENDPOINT=", "ARCHIVER_REGION=atlantis"}, args: backfill,
			code: exitUsage, says: []string{"atlantis", "ARCHIVER_ENDPOINT"},
		},
		{
			name: "no function of that name", args: append(backfill, "--function", "nothing-*"),
			code: exitIncomplete, says: []string{"no function was found", "--function"},
		},
		{
			name: "nothing to verify", args: []string{"verify", "--from", "2026-03-29", "--to", "2026-03-30", "--function", "nothing-*"},
			code: exitIncomplete, says: []string{"no function was found", "--function"},
		},
		{name: "not migrated", args: []string{"status"}, code: exitIncomplete, says: []string{"archiver migrate up"}},
		{name: "help", args: []string{"backfill", "--help"}, code: exitDone},
		{name: "version", args: []string{"--version"}, code: exitDone},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := installEmpty(t, web.URL)
			code, stdout, stderr := in.run(append([]string{"ARCHIVER_LOG_LEVEL=error"}, test.env...), test.args...)
			if code != test.code {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			for _, part := range test.says {
				if !strings.Contains(stderr, part) {
					t.Errorf("standard error does not say %q", part)
				}
			}
			if test.code != exitDone && (strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "archiver: ")) {
				t.Error("standard error is not one line of archiver's")
			}
			for _, secret := range []string{"very-secret", testSecretKey} {
				if strings.Contains(stdout+stderr, secret) {
					t.Error("a secret is printed")
				}
			}
			if t.Failed() {
				t.Logf("stdout:\n%s\nstderr:\n%s", stdout, stderr)
			}
		})
	}
}

// TestNotSettledYet asks for hours of which the last have not ended: what is
// due is archived, and the rest is said to be missing.
func TestNotSettledYet(t *testing.T) {
	t.Parallel()
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 2, Invocations: 400, Seed: 1}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, web := simulator(t, data)
	in := install(t, web.URL)
	from := time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	ranged := []string{"--from", from.Format(time.RFC3339), "--to", from.Add(6 * time.Hour).Format(time.RFC3339)}
	code, _, stderr := in.run(nil, append([]string{"backfill"}, ranged...)...)
	if code != exitIncomplete || !strings.Contains(stderr, "have not settled yet") || strings.Count(stderr, "hours that have not ended") != 1 || strings.Contains(stderr, "forgotten") {
		t.Errorf("exit %d, standard error: %s", code, stderr)
	}
	code, _, stderr = in.run(nil, append([]string{"verify", "--source-retention", "2h"}, ranged...)...)
	if code != exitDone || strings.Count(stderr, "hours that have not ended") != 1 || strings.Count(stderr, "forgotten hours of the range: it keeps records for 2h") != 1 {
		t.Errorf("exit %d, standard error: %s", code, stderr)
	}
	for state, n := range counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`) {
		if state != "complete" || n < 2*2 {
			t.Errorf("%d windows %s", n, state)
		}
	}
}
