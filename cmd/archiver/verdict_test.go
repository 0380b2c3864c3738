package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"archiver/internal/load/read"
	"archiver/internal/page"
	"archiver/internal/simulate"
)

// judged is the verdict of status --json, with the exit code of status --exit-code.
func judged(t *testing.T, run func(env []string, args ...string) (int, string, string)) (v read.Verdict, code int) {
	t.Helper()
	code, stdout, stderr := run(nil, "status", "--json", "--exit-code")
	var s page.Status
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	return s.Verdict, code
}

// levels are those of the sources.
func levels(v read.Verdict) string {
	var all []string
	for i := range v.Sources {
		all = append(all, v.Sources[i].Name+" "+string(v.Sources[i].Level))
	}
	return strings.Join(all, ", ")
}

// One of three sources has its keys refused for two passes: status, the page, the metrics, the
// alerts and the runs name it, and say so, and the others are well. One good pass ends it.
func TestVerdictOfSources(t *testing.T) {
	t.Parallel()
	w, in, _, stock := severalClouds(t)
	if code, _, stderr := w.run(nil, "once"); code != exitDone {
		t.Fatalf("once: exit %d\n%s", code, stderr)
	}
	if v, code := judged(t, w.run); code != exitDone || levels(v) != "fc ok, shop ok, stock ok" {
		t.Errorf("exit %d, %s: %s %s", code, levels(v), v.Text, v.More)
	}
	stock.denied.Store(true)
	if code, _, _ := w.run(nil, "once"); code != exitIncomplete {
		t.Errorf("once: exit %d", code)
	}
	if v, code := judged(t, w.run); code != exitIncomplete || levels(v) != "fc ok, shop ok, stock warning" || !strings.HasPrefix(v.Text, "stock: The last pass failed: ") || !strings.Contains(v.Text, "FSS.0403") {
		t.Errorf("exit %d, %s: %s %s", code, levels(v), v.Text, v.More)
	}

	// The second pass is the first one of run.
	address := freeAddress(t)
	path, err := binary(false)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "run", "--listen", address)
	cmd.Dir, cmd.Env = w.dir, w.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(interrupt)
		_ = cmd.Wait()
	})
	waitFor(t, "the second failed pass", func() bool {
		return queryValue[int](in, `SELECT failed_passes FROM sources WHERE name = 'stock'`) == 2
	})
	v, code := judged(t, w.run)
	if code != exitIncomplete || levels(v) != "fc ok, shop ok, stock bad" || !strings.HasPrefix(v.Text, "stock: The last 2 passes have not succeeded: ") || !strings.Contains(v.More, "The next pass begins at ") {
		t.Errorf("exit %d, %s: %s %s", code, levels(v), v.Text, v.More)
	}
	p := startPrometheus(t, address)
	for _, expr := range []string{
		`archiver_source_verdict{source="stock",about="passes"} == 2`,
		`archiver_source_verdict{source="shop",about="passes"} == 0`,
		`archiver_runs_total{source="stock",outcome="failed"} == 1`,
		`archiver_last_success_timestamp_seconds{source="fc"} > 0`,
		`ALERTS{alertname="ArchiverRunsFail",source="stock"}`,
	} {
		waitFor(t, expr, func() bool { return p.query(expr) == 1 })
	}
	if n := p.query(`ALERTS{source!="stock"}`); n != 0 {
		t.Errorf("%d alerts are of other sources", n)
	}
	page := func(query string) string {
		t.Helper()
		resp, err := http.Get("http://" + address + "/" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for query, says := range map[string]string{
		"": "stock: The last 2 passes have not succeeded", "?source=stock": `<p class="text">The last 2 passes have not succeeded`,
		"?source=shop": `<p class="text">Every hour that is due is archived.`,
	} {
		if shown := page(query); !strings.Contains(shown, says) || strings.Contains(shown, "None: no hour") != (query == "?source=shop") {
			t.Errorf("/%s does not say %q", query, says)
		}
	}
	facts := decodeJSON(t, "archiver status --json", page("api/status"))
	if told := facts["verdict"].(map[string]any); told["text"] != v.Text || facts["size"].(map[string]any)["bytes"].(float64) == 0 {
		t.Errorf("/api/status: %v", facts)
	}
	if got := queryValue[string](in, `SELECT string_agg(s.name || ' ' || outcome, ', ' ORDER BY s.name, run_id) FROM runs JOIN sources s USING (source_id)`); got !=
		"fc complete, fc complete, fc complete, shop complete, shop complete, shop complete, stock complete, stock failed, stock failed" {
		t.Errorf("runs: %s", got)
	}

	stock.denied.Store(false)
	if code, _, stderr := w.run(nil, "once"); code != exitDone {
		t.Errorf("once: exit %d\n%s", code, stderr)
	}
	if v, code := judged(t, w.run); code != exitDone || v.Level != read.OK {
		t.Errorf("exit %d: %s %s", code, v.Text, v.More)
	}
}

// 33 of 36 functions answer 404 at once: the pass says so, and a warning stays. Then one fails
// alone, which is red until it is excluded, or ignored.
func TestFunctionsGoneAtOnce(t *testing.T) {
	t.Parallel()
	data := generated(t, 36, 360, 9)
	api, err := simulate.New(simulate.Options{Data: data, AccessKey: testAccessKey, SecretKey: testSecretKey, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	var failing atomic.Int64
	var status, code atomic.Value
	status.Store(http.StatusNotFound)
	code.Store("FSS.1061")
	in := install(t, newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i, f := range data.Functions()[:failing.Load()] {
			if strings.HasSuffix(r.URL.Path, "/async-invocations") && strings.Contains(r.URL.Path, ":"+f+":") {
				w.WriteHeader(status.Load().(int))
				_, _ = fmt.Fprintf(w, `{"error_code":%q,"error_msg":"function %d"}`, code.Load(), i)
				return
			}
		}
		api.ServeHTTP(w, r)
	})))
	once := func(want int, lookback string, env ...string) {
		t.Helper()
		if code, stdout, stderr := in.run(append(env, "ARCHIVER_LOOKBACK="+lookback), "once"); code != want {
			t.Errorf("once: exit %d, want %d\n%s%s", code, want, stdout, stderr)
		}
	}
	says := func(level read.Level, exit int, text string) {
		t.Helper()
		if v, code := judged(t, in.run); v.Level != level || code != exit || !strings.Contains(v.Text+" "+v.More, text) {
			t.Errorf("exit %d, %s: %s %s; want %s and %q", code, v.Level, v.Text, v.More, level, text)
		}
	}
	once(exitDone, "3h")
	says(read.OK, exitDone, "Every hour that is due is archived.")

	status.Store(http.StatusInternalServerError)
	code.Store("FSS.0500")
	failing.Store(1)
	once(exitIncomplete, "4h")
	says(read.Bad, exitIncomplete, "1 hour of 1 function is not archived yet.")
	name := data.Functions()[0]
	once(exitDone, "4h", "ARCHIVER_FUNCTIONS=!"+name)
	says(read.OK, exitDone, "Every hour that is due is archived.")
	once(exitIncomplete, "4h")
	says(read.Bad, exitIncomplete, "1 hour of 1 function is not archived yet.")
	if code, stdout, stderr := in.run(nil, "ignore", "--function", name, "--reason", "it answers 500 for ever"); code != exitDone || !strings.Contains(stdout, ":"+name+":") {
		t.Errorf("ignore: exit %d\n%s%s", code, stdout, stderr)
	}
	says(read.OK, exitDone, "Every hour that is due is archived.")
	once(exitDone, "4h")
	says(read.OK, exitDone, "Every hour that is due is archived.")
	if code, stdout, _ := in.run(nil, "status", "--all"); code != exitDone || !strings.Contains(stdout, "ignored") {
		t.Errorf("status: exit %d\n%s", code, stdout)
	}
	if code, stdout, stderr := in.run(nil, "ignore", "--function", name, "--undo"); code != exitDone || !strings.Contains(stdout, "1 functions and sources are not ignored any more") {
		t.Errorf("ignore --undo: exit %d\n%s%s", code, stdout, stderr)
	}
	failing.Store(0)
	once(exitDone, "4h")

	status.Store(http.StatusNotFound)
	code.Store("FSS.1061")
	failing.Store(33)
	once(exitIncomplete, "6h")
	says(read.Warning, exitIncomplete, "33 of 36 functions are gone at once.")
	once(exitDone, "6h")
	says(read.Warning, exitIncomplete, "33 of 36 functions are gone at once.")
}
