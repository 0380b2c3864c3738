package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archiver/internal/simulate"
)

const testAccount = "1880770869020000"

// ofAlibaba returns an installation on the same database that reads Function Compute.
func (in *installation) ofAlibaba(endpoint string) *installation {
	in.t.Helper()
	other := *in
	other.env = []string{
		"ARCHIVER_PROVIDER=functioncompute", "ARCHIVER_REGION=cn-hangzhou", "ARCHIVER_ENDPOINT=" + endpoint,
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + testAccessKey, "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + testSecretKey,
		"ALIBABA_CLOUD_ACCOUNT_ID=" + testAccount,
		"DATABASE_URL=" + in.database, "HOME=" + in.t.TempDir(), "PATH=" + os.Getenv("PATH"),
		"ARCHIVER_SOURCE_RETENTION=3650d", "ARCHIVER_LOOKBACK=30d",
	}
	return &other
}

// Both clouds are archived into one table, from one simulator: each record once, under
// the name of its cloud.
func TestBothClouds(t *testing.T) {
	t.Parallel()
	api, web := simulator(t, generated(t, 6, 3000, 4))
	in := install(t, web.URL)
	alibaba := in.ofAlibaba(web.URL)
	in.backfill()
	alibaba.backfill()

	for _, info := range api.Functions() {
		for provider, urn := range map[string]string{
			"functiongraph":   info.URN,
			"functioncompute": "acs:fc:cn-hangzhou:" + testAccount + ":services/default/functions/" + info.Name,
		} {
			got := queryValue[int](in, `SELECT count(*) FROM invocation_history WHERE provider = $1 AND function_urn = $2`, provider, urn)
			if got != info.Records {
				t.Errorf("%s %s: %d rows of %d records", provider, urn, got, info.Records)
			}
		}
	}
	if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE state <> 'complete'`); n > 0 {
		t.Errorf("%d windows are not complete", n)
	}
	if got := queryValue[string](in, `SELECT string_agg(DISTINCT provider || ' ' || region || ' ' || project_id, ', ') FROM functions`); got !=
		"functioncompute cn-hangzhou "+testAccount+", functiongraph "+simulate.DefaultRegion+" "+simulate.DefaultProjectID {
		t.Error(got)
	}
	// Both clouds have the same records, in their own words.
	const words = `SELECT string_agg(DISTINCT status || ' ' || source_status, ', ') FROM invocation_history WHERE provider = 'functioncompute'`
	if got := queryValue[string](in, words); got != "DISCARD Expired, FAIL Failed, FAIL Stopped, SUCCESS Succeeded" {
		t.Error(got)
	}
	const differ = `
		SELECT count(*)
		  FROM invocation_history c
		  FULL JOIN (SELECT * FROM invocation_history WHERE provider = 'functiongraph') g ON upper(g.request_id) = c.request_id
		 WHERE c.provider IS DISTINCT FROM 'functiongraph'
		   AND (c.status, c.error_message, c.start_time, c.end_time) IS DISTINCT FROM (g.status, g.error_message, g.start_time, g.end_time)`
	if n := queryValue[int](in, differ); n > 0 {
		t.Errorf("%d records are not the same in both", n)
	}

	// A second backfill has nothing to do. A forced one finds nothing new.
	if out := alibaba.backfill("--force"); !strings.Contains(out, " 0 new records") {
		t.Error(out)
	}
	// Payloads come with the flag, and not without it.
	const payloads = `SELECT count(*) FROM invocation_history WHERE provider = 'functioncompute' AND extra ? 'invocationPayload'`
	if n := queryValue[int](in, payloads); n > 0 {
		t.Errorf("%d payloads that nobody asked for", n)
	}
	alibaba.backfill("--force", "--include-payload", "--function", "default/"+api.Functions()[0].Name)
	if n := queryValue[int](in, payloads); n != api.Functions()[0].Records {
		t.Errorf("%d payloads of %d", n, api.Functions()[0].Records)
	}
}

// Mistakes in the configuration are told before anything is tried. Refused keys are
// never printed.
func TestFunctionComputeUsage(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 1, 10, 4))
	in := install(t, web.URL)
	alibaba := in.ofAlibaba(web.URL)
	span := []string{"backfill", "--from", "2026-03-29", "--to", "2026-03-30"}
	if code, _, stderr := in.run(nil, append(span, "--include-payload")...); code != exitUsage || !strings.Contains(stderr, "functioncompute") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for _, c := range []struct{ env, says string }{
		{"ALIBABA_CLOUD_ACCESS_KEY_SECRET=", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"},
		{"ARCHIVER_ENDPOINT=", "ALIBABA_CLOUD_ACCOUNT_ID"},
		{"ARCHIVER_ENDPOINT=http://fc.example", "--insecure"},
		{"ARCHIVER_PROVIDER=lambda", "functioncompute"},
	} {
		code, _, stderr := alibaba.run([]string{"ALIBABA_CLOUD_ACCOUNT_ID=", c.env}, span...)
		if code != exitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d, %s", c.env, code, stderr)
		}
	}
	// The simulator refuses another key, which is not printed.
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("a-wrong-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := alibaba.run([]string{"ALIBABA_CLOUD_ACCESS_KEY_SECRET=", "ALIBABA_CLOUD_ACCESS_KEY_SECRET_FILE=" + file, "ARCHIVER_LOG_LEVEL=debug"}, span...)
	if code != exitIncomplete || !strings.Contains(stderr, "AccessDenied") || !strings.Contains(stderr, "fc:ListStatefulAsyncInvocationFunctions") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for _, never := range []string{"a-wrong-secret", testAccessKey, "Signature="} {
		if strings.Contains(stdout+stderr, never) {
			t.Errorf("%s is shown", never)
		}
	}
}
