package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"archiver/internal/page"
)

// acknowledge prints which missed windows it takes out of the verdict, and status
// names the smallest question that fails.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 3, 300, 1))
	in := install(t, web.URL)
	in.backfill()
	const change = `
		WITH changed AS (
			UPDATE archiver_internal.windows
			   SET state = 'expired', missed = true
			 WHERE window_start < '2026-03-29 02:00Z' AND function_id IN (SELECT function_id FROM functions ORDER BY function_urn LIMIT 2)
			RETURNING 1
		), failed AS (
			UPDATE archiver_internal.windows
			   SET state = 'failed', last_error = 'answered 400', refused_from = window_start + interval '30 minutes',
			       refused_to = window_start + interval '1801 seconds', stuck = 1, retry_at = now() + interval '1 hour'
			 WHERE window_start = '2026-03-29 05:00Z' AND function_id = (SELECT min(function_id) FROM functions)
			RETURNING 1
		)
		SELECT (SELECT count(*) FROM changed) + (SELECT count(*) FROM failed)`
	if n := queryValue[int64](in, change); n != 5 {
		t.Fatalf("%d windows were changed", n)
	}
	said := func(want ...string) {
		t.Helper()
		_, stdout, _ := in.run([]string{"COLUMNS=120"}, "status")
		for _, part := range want {
			if !strings.Contains(strings.Join(strings.Fields(stdout), " "), part) {
				t.Errorf("status lacks %q:\n%s", part, stdout)
			}
		}
	}
	said("4 hours of 2 functions were missed.", "failed for 05:30:00Z/05:30:01Z, asked again at", "answered 400", "2 missed")

	_, stdout, _ := in.run(nil, "status", "--json")
	var told page.Status
	if err := json.Unmarshal([]byte(stdout), &told); err != nil {
		t.Fatal(err)
	}
	if f := told.Failing; len(f) != 1 || f[0].State != "failed" || f[0].RefusedFrom.Minute() != 30 || f[0].RefusedTo.Second() != 1 || f[0].RetryAt == nil {
		t.Errorf("failing: %+v", f)
	}

	if code, _, stderr := in.run(nil, "acknowledge"); code != exitUsage || !strings.Contains(stderr, "--before") {
		t.Errorf("without a time: exit %d: %s", code, stderr)
	}
	for _, test := range []struct{ before, says string }{
		{"2026-03-29T00:00:00Z", `^0 missed windows of 0 functions acknowledged\n$`},
		{"2026-03-29T01:00:00Z", `(?s)^FUNCTION +WINDOWS +FIRST +LAST\nurn:\S+ +1 +2026-03-29T00:00:00Z +2026-03-29T00:00:00Z\nurn:.*\n2 missed windows of 2 functions acknowledged\n$`},
		{"2026-03-30", `(?s)\n2 missed windows of 2 functions acknowledged\n$`},
		{"2026-03-30", `^0 missed`},
	} {
		code, stdout, stderr := in.run(nil, "acknowledge", "--before", test.before)
		if code != exitDone || !regexp.MustCompile(test.says).MatchString(stdout) {
			t.Errorf("before %s: exit %d\n%s%s", test.before, code, stdout, stderr)
		}
	}
	said("1 hour of 1 function is not archived yet.", "2 expired")
}

// limits prints what was learned of the sources, and forgets it. check prints it too.
func TestLimits(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 3, 30, 1))
	in := install(t, web.URL)
	queryValue[int64](in, `
		WITH kept AS (
			INSERT INTO archiver_internal.learned (provider, region, project_id, what, function_id, value, proven, learned_at)
			VALUES ('functiongraph', 'cn-north-4', 'p', 'ceiling', 0, 10000, false, now()),
			       ('functiongraph', 'cn-north-4', 'p', 'range', 0, 43200, false, now()),
			       ('functiongraph', 'eu-de', 'q', 'page', 0, 50, false, now())
			RETURNING 1
		)
		SELECT count(*) FROM kept`)
	ask := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := in.run(nil, args...)
		if code != exitDone {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
		return strings.Join(strings.Fields(stdout), " ")
	}
	for _, test := range []struct {
		args []string
		says []string
	}{
		{[]string{"check"}, []string{"ok learned of functiongraph cn-north-4 p: 10,000 records: the smallest count"}},
		{[]string{"limits"}, []string{"functiongraph cn-north-4 p 10,000 records", "functiongraph cn-north-4 p 12 hours", "functiongraph eu-de q 50 records", "3 limits are believed"}},
		{[]string{"limits", "--region", "eu-de", "--reset"}, []string{"functiongraph eu-de q 50 records", "1 lessons forgotten"}},
		{[]string{"limits", "--reset"}, []string{"2 lessons forgotten"}},
		{[]string{"limits"}, []string{"0 limits are believed"}},
	} {
		got := ask(test.args...)
		for _, part := range test.says {
			if !strings.Contains(got, part) {
				t.Errorf("%v does not say %q: %s", test.args, part, got)
			}
		}
	}
}
