package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"archiver/internal/simulate/dataset"
	"archiver/internal/terminal"
)

// hostile answers as FunctionGraph does, with one function and hostile texts in its
// records. It keeps the URL of the last question for records.
func hostile(t *testing.T, asked *atomic.Pointer[url.URL]) http.Handler {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "query", "answer.json"))
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/async-invocations") {
			asked.Store(r.URL)
			if _, err := w.Write(body); err != nil {
				t.Error(err)
			}
			return
		}
		fmt.Fprintf(w, `{"functions":[{"func_urn":"urn:fss:x:p:function:default:a","func_name":"orders"},`+
			`{"func_urn":"urn:fss:x:p:function:default:b","func_name":"order\u001b[31ms-二"},{"func_urn":"urn:fss:x:p:function:other:b","func_name":"order\u001b[31ms-二"}],"count":3}`)
	})
}

// The printed answer is equal to the file in testdata, fits the terminal, and has no
// character that a terminal would obey. -update writes the files.
func TestQueryPrints(t *testing.T) {
	t.Parallel()
	var asked atomic.Pointer[url.URL]
	in := install(t, newServer(t, hostile(t, &asked))).without("DATABASE_URL")
	ask := []string{"query", "--function", "orders", "--from", "2026-11-20", "--to", "2026-11-20T23:59:59+00:00"}
	for name, c := range map[string]struct {
		columns int
		args    []string
	}{
		"narrow.txt":   {columns: 80},
		"wide.txt":     {columns: 132},
		"default.txt":  {},
		"tiny.txt":     {columns: 20},
		"errors.txt":   {columns: 132, args: []string{"--status", "DISCARD", "--status", "FAIL", "--status", "WAIT"}},
		"whole.txt":    {columns: 80, args: []string{"--status", "success,running", "--limit", "3"}},
		"all.json":     {args: []string{"--json"}},
		"limited.json": {args: []string{"--json", "--limit", "1"}},
		"none.json":    {args: []string{"--json", "--status", "WAIT", "--request-id", "none"}},
	} {
		env := []string{"COLUMNS="}
		if c.columns > 0 {
			env[0] += fmt.Sprint(c.columns)
		}
		code, stdout, stderr := in.run(env, append(ask, c.args...)...)
		if code != exitDone {
			t.Fatalf("%s: exit %d, %s", name, code, stderr)
		}
		file := filepath.Join("testdata", "query", name)
		if *update {
			if err := os.WriteFile(file, []byte(stdout), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		if diff := gocmp.Diff(string(want), stdout); diff != "" {
			t.Errorf("%s (-file +printed):\n%s\n%s", name, diff, stdout)
		}
		for _, r := range stdout + stderr {
			if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u200b') {
				t.Errorf("%s: %U is printed", name, r)
			}
		}
		if strings.HasSuffix(name, ".txt") {
			for line := range strings.Lines(stdout) {
				if n := terminal.Width(strings.TrimSuffix(line, "\n")); n > max(c.columns, 80) {
					t.Errorf("%s: a line of %d cells: %s", name, n, line)
				}
			}
		} else if !json.Valid([]byte(stdout)) {
			t.Errorf("%s is no JSON", name)
		}
	}
}

// The source is asked to filter what it can filter. Notes tell which times are assumed.
func TestQueryAsks(t *testing.T) {
	t.Parallel()
	var asked atomic.Pointer[url.URL]
	in := install(t, newServer(t, hostile(t, &asked))).without("DATABASE_URL")
	const layout = "2006-01-02T15:04:05Z"
	for _, c := range []struct {
		args                  []string
		status, request, says string
		reach                 time.Duration
	}{
		{args: []string{"--status", "fail"}, status: "FAIL", says: "no --from: asked for the hour from", reach: time.Hour},
		{args: []string{"--status", "fail,wait"}, says: "no --from: asked for the hour from", reach: time.Hour},
		{args: []string{"--to", "2026-11-20T01:30:00.5Z"}, says: "from 2026-11-20T00:30:00Z to 2026-11-20T01:30:00Z", reach: time.Hour + time.Second},
		{args: []string{"--from", "2026-11-20", "--to", "2026-11-22"}, reach: 48 * time.Hour},
		{args: []string{"--request-id", "r-1", "--status", "Success"}, status: "SUCCESS", request: "r-1", says: "looked for from", reach: queryReach},
		{args: []string{"--request-id", "r-1", "--from", "2026-11-20", "--to", "2026-11-21"}, request: "r-1", reach: 24 * time.Hour},
	} {
		_, stderr := in.ask(append([]string{"--function", "urn:fss:x:p:function:default:a"}, c.args...)...)
		q := asked.Load().Query()
		from, err := time.Parse(layout, q.Get("query_begin_time"))
		if err != nil {
			t.Fatal(err)
		}
		to, err := time.Parse(layout, q.Get("query_end_time"))
		if err != nil {
			t.Fatal(err)
		}
		if q.Get("status") != c.status || q.Get("request_id") != c.request || to.Sub(from) != c.reach+2*time.Second || !strings.Contains(stderr, c.says) {
			t.Errorf("%q asks for %s, %s: %s", c.args, asked.Load().RawQuery, to.Sub(from), stderr)
		}
	}
}

// docs/query.md shows what is printed.
func TestQueryPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "query.md"))
	if err != nil {
		t.Fatal(err)
	}
	const prompt = "$ archiver query "
	_, block, _ := strings.Cut(string(page), prompt)
	block, _, _ = strings.Cut(block, "\n```")
	args, want, _ := strings.Cut(block, "\n")
	data, err := dataset.Generate(dataset.GenerateOptions{
		Functions: 5, Invocations: 5 * generatedPerFunction, Date: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, web := simulator(t, data)
	code, stdout, stderr := install(t, web.URL).without("DATABASE_URL").run([]string{"COLUMNS="}, append([]string{"query"}, strings.Fields(args)...)...)
	if diff := gocmp.Diff(want+"\n", stdout+stderr); diff != "" || code != exitDone {
		t.Errorf("exit %d (-docs/query.md +printed):\n%s", code, diff)
	}
}
