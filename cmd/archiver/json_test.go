package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"archiver/internal/pgserver"
)

var documentedName = regexp.MustCompile("`([a-z_0-9]+)`")

// decodeJSON decodes what a command printed, and fails if the command's section of
// docs/json.md lacks one of its names.
func decodeJSON(t *testing.T, command, text string) (document map[string]any) {
	t.Helper()
	page, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## "+command+"\n")
	if !found {
		t.Fatalf("docs/json.md has no section %q", command)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var known []string
	for _, row := range strings.Split(section, "\n") {
		fields, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for _, name := range documentedName.FindAllStringSubmatch(fields, -1) {
			known = append(known, name[1])
		}
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%s prints no document: %v\n%s", command, err, text)
	}
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, inner := range v {
				if !slices.Contains(known, name) {
					t.Errorf("docs/json.md does not describe %q of %s", name, command)
				}
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(document)
	return document
}

func TestJSON(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 2, 60, 1))
	in := install(t, web.URL)
	code, stdout, _ := in.run(nil, "check", "--json")
	checks := decodeJSON(t, "archiver check --json", stdout)
	if lines := checks["checks"].([]any); code != exitDone || len(lines) < 5 || checks["failed"] != 0.0 {
		t.Errorf("check: exit %d\n%s", code, stdout)
	}
	code, stdout, stderr := in.run([]string{"HUAWEICLOUD_SDK_SK=wrong"}, "check", "--json")
	checks = decodeJSON(t, "archiver check --json", stdout)
	if code != exitIncomplete || checks["failed"] != 1.0 || !strings.Contains(stderr, "1 of ") {
		t.Errorf("check with a wrong key: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = in.run(nil, "migrate", "status", "--json")
	for _, step := range decodeJSON(t, "archiver migrate status --json", stdout)["steps"].([]any) {
		if code != exitDone || step.(map[string]any)["state"] != "applied" {
			t.Errorf("migrate status: exit %d\n%s", code, stdout)
		}
	}
	const runs = "archiver once, backfill and verify --json"
	run := func(stdout string) map[string]any {
		t.Helper()
		all := decodeJSON(t, runs, stdout)["runs"].([]any)
		if len(all) != 1 {
			t.Fatalf("%d runs\n%s", len(all), stdout)
		}
		return all[0].(map[string]any)
	}
	archived := run(in.backfill("--json"))
	if archived["outcome"] != "complete" || archived["complete"] != 48.0 || archived["inserted"] != 60.0 || archived["range_complete"] != 48.0 {
		t.Errorf("backfill: %v", archived)
	}
	const query = "archiver query --json"
	_, stdout, stderr = in.run(nil, "query", "--archived", "--json", "--function", queryValue[string](in, `SELECT min(function_urn) FROM invocation_history`), "--from", "2026-03-29", "--to", "2026-03-30")
	var elements []map[string]any
	if err := json.Unmarshal([]byte(stdout), &elements); err != nil || len(elements) == 0 {
		t.Fatalf("query: %v\n%s%s", err, stdout, stderr)
	}
	for _, e := range elements {
		e["extra"] = nil // the source's own names
		element, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		decodeJSON(t, query, string(element))
	}
	if err := pgserver.Exec(t.Context(), in.database, `DELETE FROM invocations WHERE request_id = (SELECT min(request_id) FROM invocations)`); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ = in.run(nil, "verify", "--json", "--from", "2026-03-29", "--to", "2026-03-30")
	if verified := run(stdout); code != exitIncomplete || verified["differ"] != 1.0 || len(verified["differences"].([]any)) != 1 || verified["outcome"] != "incomplete" {
		t.Errorf("verify: exit %d\n%s", code, stdout)
	}
	code, stdout, stderr = in.run(nil, "once", "--json", "--lookback", "2h")
	if once := run(stdout); code != exitDone || once["asked_by"] != "once" || once["outcome"] != "complete" {
		t.Errorf("once: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = in.run(nil, "status", "--json")
	if functions := decodeJSON(t, "archiver status --json", stdout)["functions"].([]any); code != exitDone || len(functions) != 2 {
		t.Errorf("status: exit %d\n%s", code, stdout)
	}
}
