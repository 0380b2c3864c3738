package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"archiver/internal/pgserver"
	"archiver/internal/simulate/dataset"
)

// A step back says what it drops, and asks. A schema of a newer archiver is left alone.
func TestMigrateDown(t *testing.T) {
	t.Parallel()
	// A day that no month has taken in.
	yesterday := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 2, Invocations: 60, Date: yesterday, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, web := simulator(t, data)
	in := installEmpty(t, web.URL)
	from, to := yesterday.Format(time.RFC3339), yesterday.Add(20*time.Hour).Format(time.RFC3339)
	if code, _, stderr := in.run(nil, "backfill", "--from", from, "--to", to); code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	records := fmt.Sprintf("the whole archive, with %d records", queryValue[int](in, `SELECT count(*) FROM invocations`))
	answer := func(text string, args ...string) (int, string, string) {
		cmd := in.command(nil, append([]string{"migrate", "down"}, args...)...)
		var stdout, stderr bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), &stdout, &stderr
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	}
	steps := 0
	for _, text := range []string{"", "no\n", "y\n", "yes please\n"} {
		code, stdout, stderr := answer(text)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, "nothing was taken back: answer yes, or give --yes") {
			t.Errorf("%q: exit %d\n%s%s", text, code, stdout, stderr)
		}
	}
	for {
		before := queryValue[int](in, `SELECT max(version_id) FROM archiver_internal.goose_db_version`)
		steps++
		text, args := "yes\n", []string(nil)
		if before%2 == 0 {
			text, args = "", []string{"--yes"}
		}
		code, stdout, stderr := answer(text, args...)
		if code != exitDone || !strings.Contains(stdout, "took back") {
			t.Fatalf("step %d: exit %d\n%s%s", before, code, stdout, stderr)
		}
		if before == 1 {
			if !strings.Contains(stderr, records) || !strings.Contains(stderr, "runs, rejected_records") {
				t.Errorf("it does not say what is dropped:\n%s", stderr)
			}
			break
		}
	}
	if code, _, stderr := answer("yes\n"); code != exitIncomplete || !strings.Contains(stderr, "no step is applied") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if steps < 2 {
		t.Errorf("%d steps", steps)
	}
}

// A database that a newer archiver has migrated is not written to.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 1, 10, 1))
	in := install(t, web.URL)
	if err := pgserver.Exec(t.Context(), in.database, `INSERT INTO archiver_internal.goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check"}, {"once"}, {"once", "--no-migrate"}, {"run"}, {"backfill", "--from", "2026-03-14", "--to", "2026-03-15"}, {"migrate", "down", "--yes"},
	} {
		code, stdout, stderr := in.run(nil, args...)
		if code != exitIncomplete || !strings.Contains(stdout+stderr, "a newer version of archiver has made the schema") {
			t.Errorf("%s: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"status"}, {"migrate", "status"}} {
		if code, stdout, stderr := in.run(nil, args...); code != exitDone {
			t.Errorf("%s: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
}
