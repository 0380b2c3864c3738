package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"archiver/internal/pgserver"
	"archiver/internal/simulate/dataset"
)

// No command makes PostgreSQL log a warning or an error, and no line of a command counts -1.
func TestServerLogIsQuiet(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", ".archiver", "quiet-test-"+strconv.Itoa(os.Getpid()))
	server, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir, Fast: true, InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	today := time.Now().UTC().Truncate(24 * time.Hour)
	old := today.AddDate(0, 0, -10)
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 3, Invocations: 3000, Date: old, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	api, web := simulator(t, data)
	in := installOn(t, server.URL(), web.URL)
	of := []string{"--from", old.Format(time.DateOnly), "--to", old.AddDate(0, 0, 1).Format(time.DateOnly)}
	name := api.Functions()[0].Name
	for _, args := range [][]string{
		{"migrate", "up"},
		{"migrate", "status"},
		{"check"},
		append([]string{"backfill", "--dry-run"}, of...),
		append([]string{"backfill"}, of...), // merges days
		{"once", "--dry-run"},
		{"once", "--lookback", "3d"},
		{"once", "--lookback", "3d", "--verify-after", "0s"},
		append([]string{"verify"}, of...),
		append([]string{"verify", "--repair"}, of...),
		append([]string{"query", "--archived", "--function", name}, of...),
		append([]string{"query", "--function", name}, of...),
		{"status"},
		{"report", "--out", filepath.Join(t.TempDir(), "report.html")},
		{"limits"},
		{"once", "--lookback", "3d", "--retention", "5d"}, // drops the day and the month
	} {
		if args[0] == "backfill" && len(args) == len(of)+1 {
			if err := pgserver.Exec(t.Context(), in.database, `
				CREATE TABLE archiver_days.invocations_20230101 PARTITION OF archiver_days.invocations_dated FOR VALUES FROM ('2023-01-01 00:00Z') TO ('2023-01-02 00:00Z');
				CREATE UNIQUE INDEX ON archiver_days.invocations_20230101 (request_id);
				INSERT INTO invocations (first_archived_at, updated_at, start_time, function_id, request_id, status)
				VALUES (now(), now(), '2023-01-01 12:00Z', 0, 'r', 'SUCCESS')`); err != nil {
				t.Fatal(err)
			}
		}
		code, _, stderr := in.run(nil, args...)
		if code != exitDone || strings.Contains(stderr, `"counted":-1`) || strings.Contains(stderr, "WARN") {
			t.Errorf("archiver %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
		}
		if args[0] == "backfill" && len(args) == len(of)+1 && queryValue[*string](in, `SELECT to_regclass('archiver_days.invocations_202301')::text`) == nil {
			t.Errorf("no days are merged:\n%s", stderr)
		}
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM invocations`); n != 0 {
		t.Errorf("retention left %d rows", n)
	}
	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil || len(log) == 0 {
		t.Fatalf("the server's log: %d bytes, %v", len(log), err)
	}
	if said := regexp.MustCompile(`(?m)^.*(?:WARNING|ERROR|FATAL|PANIC): .*$`).FindAllString(string(log), 20); said != nil {
		t.Errorf("the server logged:\n%s", strings.Join(said, "\n"))
	}
}
