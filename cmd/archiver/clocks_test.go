package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archiver/internal/simulate/dataset"
	"archiver/internal/terminal"
)

// By the Date of the source's answers, this machine's clock is ahead. Nothing is completed,
// and nothing is dropped, also if the source refuses the credentials.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	old := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -10)
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 3, Invocations: 300, Date: old, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	in := install(t, newServer(t, faulty(t, data, "", nil)))
	from, to := old.Format(time.DateOnly), old.AddDate(0, 0, 1).Format(time.DateOnly)
	if code, _, stderr := in.run(nil, "backfill", "--from", from, "--to", to); code != exitDone {
		t.Fatalf("backfill: exit %d\n%s", code, stderr)
	}
	const states = `SELECT count(*) FROM archiver_internal.windows`
	windows, rows := queryValue[int64](in, states), queryValue[int64](in, `SELECT count(*) FROM invocations`)
	flags := []string{"--lookback", "3d", "--retention", "5d"}
	for _, test := range []struct{ faults, said string }{
		{"date=-2h", "clocks differ by "},
		{"date=-9840h,deny=1", "clocks differ by "},
		{"deny=1", "403"},
	} {
		env := []string{"ARCHIVER_ENDPOINT=" + newServer(t, faulty(t, data, test.faults, nil))}
		code, stdout, stderr := in.run(env, append([]string{"once"}, flags...)...)
		if code != exitIncomplete || !strings.Contains(stderr, test.said) || strings.Contains(stderr, "day dropped") {
			t.Errorf("%s: exit %d\n%s%s", test.faults, code, stdout, stderr)
		}
		if w, r := queryValue[int64](in, states), queryValue[int64](in, `SELECT count(*) FROM invocations`); w != windows || r != rows {
			t.Errorf("%s: %d windows and %d rows, before %d and %d", test.faults, w, r, windows, rows)
		}
	}

	env := []string{"ARCHIVER_ENDPOINT=" + newServer(t, faulty(t, data, "date=-2h", nil))}
	code, stdout, _ := in.run(env, append([]string{"check"}, flags...)...)
	for _, want := range []string{
		"FAIL  clocks: clocks differ by ", ": this machine 20", ", the database 20", ", the source 20", "--ignore-clocks",
		"warn  retention: 1 days would be dropped, all before ",
	} {
		if code != exitIncomplete || !strings.Contains(stdout, want) {
			t.Errorf("check: exit %d, without %q:\n%s", code, want, stdout)
		}
	}
	if code, stdout, stderr := in.run(env, "backfill", "--dry-run", "--from", from, "--to", to); code != exitIncomplete || !strings.Contains(stderr, "clocks differ by ") {
		t.Errorf("a dry run: exit %d\n%s%s", code, stdout, stderr)
	}
	env[0] = "ARCHIVER_ENDPOINT=" + newServer(t, faulty(t, data, "date=-6m", nil))
	if code, stdout, _ := in.run(env, "check"); !strings.Contains(stdout, "warn  clocks: clocks differ by ") || strings.Contains(stdout, "retention") {
		t.Errorf("check: exit %d\n%s", code, stdout)
	}
	// A difference is said where the archive is looked at, and the run archives what is due.
	if code, _, stderr := in.run(env, "once", "--lookback", "1h"); code != exitDone || !strings.Contains(stderr, "clocks differ by more than half of settle") {
		t.Errorf("once: exit %d\n%s", code, stderr)
	}
	const said = ", more than half of --settle: this machine 20"
	if _, stdout, _ := in.run(env, "backfill", "--dry-run", "--from", from, "--to", to); !strings.Contains(stdout, said) {
		t.Errorf("a dry run:\n%s", stdout)
	}
	_, status, _ := in.run(nil, "status")
	_, asJSON, _ := in.run(nil, "status", "--json")
	if !strings.Contains(terminal.Line(status), said) || !strings.Contains(asJSON, said) {
		t.Errorf("status:\n%s\n%s", status, asJSON)
	}
	page := filepath.Join(t.TempDir(), "report.html")
	if code, _, stderr := in.run(nil, "report", "--out", page); code != exitDone {
		t.Errorf("report: exit %d\n%s", code, stderr)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), said) {
		t.Errorf("the report does not say that clocks differ; %v", err)
	}
	env[0] = "ARCHIVER_ENDPOINT=" + newServer(t, faulty(t, data, "date=-2h", nil))
	code, _, stderr := in.run(env, append([]string{"once", "--ignore-clocks"}, flags...)...)
	if code != exitDone || strings.Count(stderr, "day dropped") != 1 {
		t.Errorf("once --ignore-clocks: exit %d\n%s", code, stderr)
	}
}
