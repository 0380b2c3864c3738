package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"archiver/internal/simulate"
)

// TestBackfillDryRun asks what a backfill would do with an empty database, with a
// part archived, and with everything archived. It tells the number of windows, tells
// no more calls than the backfill then makes, and writes nothing.
func TestBackfillDryRun(t *testing.T) {
	t.Parallel()
	api, web := simulator(t, generated(t, 12, 20_000, 5))
	in := installEmpty(t, web.URL)
	say := func(args ...string) string {
		t.Helper()
		before := api.Stats().ListAsyncInvocations
		code, stdout, stderr := in.run(nil, append([]string{"backfill", "--dry-run", "--from", "2026-03-29", "--to", "2026-03-30"}, args...)...)
		if code != exitDone {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
		// One count of each function, and no page.
		if n := api.Stats().ListAsyncInvocations - before; n > 12 {
			t.Errorf("a dry run asked %d times for invocations", n)
		}
		return stdout
	}
	says := func(got string, want ...string) {
		t.Helper()
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("a dry run does not print %q:\n%s", part, got)
			}
		}
	}
	const tables = `SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'archiver_internal', 'archiver_days')`

	got := say()
	says(got, "288 windows of 12 functions are due and would be read, the oldest of 2026-03-29T00:00:00Z; 12 functions match, 0 of them are known\n",
		"at least 13 calls")
	// The count of every function is known: the rows are, but for the records at the borders.
	if rows := estimated(t, got); rows < 19_900 || rows > 20_100 {
		t.Errorf("%d rows are foreseen of 20000:\n%s", rows, got)
	}
	says(got, " MB, about ", " calls a second\n")
	if n := queryValue[int64](in, tables); n != 0 {
		t.Errorf("a dry run made %d relations", n)
	}
	before := readingCalls(api)
	code, _, stderr := in.run(nil, "backfill", "--from", "2026-03-29", "--to", "2026-03-29T12:00:00Z")
	if code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	if made := readingCalls(api) - before; made < atLeast(t, got) {
		t.Errorf("half of it took %d calls, at least %d were foreseen", made, atLeast(t, got))
	}

	const rows = `SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM (
		SELECT w::text FROM archiver_internal.windows w UNION ALL SELECT r::text FROM runs r UNION ALL SELECT f::text FROM functions f) AS t`
	written := queryValue[string](in, rows)
	says(say(), "144 windows of 12 functions are due and would be read, the oldest of 2026-03-29T12:00:00Z; 12 functions match, 12 of them are known\n")
	says(say("--force"), "288 windows of 12 functions")
	says(say("--function", "*-00*"), "functions match")
	if after := queryValue[string](in, rows); after != written {
		t.Error("a dry run changed the archive")
	}
	says(in.backfill(), "144 of 144 windows complete", "the whole range is complete: 288 of 288 hours")
	says(in.backfill(), "0 of 0 windows complete", "the whole range was complete already: 288 of 288 hours")
	says(say(), "0 windows of 0 functions are due and would be read; 12 functions match", "at least 1 calls")
	code, _, stderr = in.run(nil, "backfill", "--dry-run", "--from", "2026-03-29", "--to", "2026-03-30", "--function", "nothing-*")
	if code != exitIncomplete || !strings.Contains(stderr, "no function was found") {
		t.Errorf("of no function: exit %d\n%s", code, stderr)
	}
}

func estimated(t *testing.T, said string) int64 {
	t.Helper()
	found := regexp.MustCompile(`about (\d+) rows, about [\d.]+ MB, about \d+ calls`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("no rows are said: %s", said)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// readingCalls are those for the list of functions and for invocations.
func readingCalls(api *simulate.Server) int64 {
	s := api.Stats()
	return s.ListFunctions + s.ListAsyncInvocations
}

func atLeast(t *testing.T, said string) int64 {
	t.Helper()
	found := regexp.MustCompile(`at least (\d+) calls`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("no calls are said: %s", said)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
