package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// A name, or a glob that matches only one function, works like a URN. The error of
// another one names functions to ask for.
func TestQueryNamesOneFunction(t *testing.T) {
	t.Parallel()
	var asked atomic.Pointer[url.URL]
	in := install(t, newServer(t, hostile(t, &asked))).without("DATABASE_URL")
	for _, c := range []struct{ function, urn, says string }{
		{function: "orders", urn: "urn:fss:x:p:function:default:a"},
		{function: "o?ders", urn: "urn:fss:x:p:function:default:a"},
		{function: "*:other:*", urn: "urn:fss:x:p:function:other:b"},
		{function: "urn:fss:x:p:function:default:a:v1", urn: "urn:fss:x:p:function:default:a:v1"}, // versions are not listed
		{function: "order*", says: "3 functions match, ask for one: urn:fss:x:p:function:default:a, urn:fss:x:p:function:default:b"},
		{function: "order\x1b[31ms-二", says: "order\uFFFD[31ms-二: 2 functions match, ask for one: urn:fss:x:p:function:default:b, urn:fss:x:p:function:other:b"},
		{function: "odrers", says: "none of the 3 functions has this name: the nearest are orders, order\uFFFD[31ms-二"},
		{function: "[", says: "is not a glob"},
	} {
		code, _, stderr := in.run(nil, "query", "--json", "--function", c.function)
		if c.urn != "" {
			path := asked.Load().Path
			if code != exitDone || !strings.Contains(path, "/"+c.urn+"/") {
				t.Errorf("%s: exit %d, asked %s, %s", c.function, code, path, stderr)
			}
			continue
		}
		if code != exitUsage || !strings.Contains(stderr, c.says) || strings.Contains(stderr, "\x1b") {
			t.Errorf("%q: exit %d, %s", c.function, code, stderr)
		}
	}
}

// Mistakes are told before the source is asked.
func TestQueryUsage(t *testing.T) {
	t.Parallel()
	in := install(t, newServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Error("asked: " + r.URL.Path) })))
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{}, "--function"},
		{[]string{"--function", "f", "--from", "noon"}, "not a time"},
		{[]string{"--function", "f", "--from", "1900-01-01"}, "before 1970"},
		{[]string{"--function", "f", "--from", "2026-11-21", "--to", "2026-11-20"}, "is not before"},
		{[]string{"--function", "f", "--from", "2026-11-21", "--to", "2026-11-21"}, "is not before"},
		{[]string{"--function", "f", "--status", "failed"}, "WAIT, RUNNING, SUCCESS, FAIL, DISCARD"},
		{[]string{"--function", "f", "--request-id", strings.Repeat("x", 65)}, "65 characters"},
		{[]string{"--function", "f", "--limit", "-1"}, "--limit"},
	} {
		code, stdout, stderr := in.run(nil, append([]string{"query"}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit %d, %s%s", c.args, code, stdout, stderr)
		}
	}
	code, _, stderr := in.without("DATABASE_URL").run(nil, "query", "--function", "f", "--archived")
	if code != exitUsage || !strings.Contains(stderr, "DATABASE_URL") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// If the source fails, the exit code is 1, and the answer is marked as not whole.
func TestQueryFails(t *testing.T) {
	t.Parallel()
	api, web := simulator(t, generated(t, 1, 1200, 4))
	urn := api.Functions()[0].URN
	in := installEmpty(t, web.URL)
	const nothing = "no invocation of "
	code, stdout, stderr := in.run(nil, "query", "--function", urn, "--from", "2026-01-01", "--to", "2026-01-02")
	if code != exitDone || stdout != "" || !strings.Contains(stderr, nothing+urn) {
		t.Errorf("nothing found: exit %d, %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = in.run(nil, "query", "--function", urn+"x")
	if code != exitIncomplete || stdout != "" || !strings.Contains(stderr, "FSS.0404") || strings.Contains(stderr, nothing) {
		t.Errorf("no such function: exit %d, %s%s", code, stdout, stderr)
	}
	code, _, stderr = in.run([]string{"HUAWEICLOUD_SDK_SK=wrong-secret"}, "query", "--function", urn)
	if code != exitIncomplete || !strings.Contains(stderr, "denied") || strings.Contains(stderr, "wrong-secret") {
		t.Errorf("denied: exit %d, %s", code, stderr)
	}
	code, _, stderr = in.run(nil, "query", "--function", urn, "--archived")
	if code != exitIncomplete || !strings.Contains(stderr, "archiver migrate up") {
		t.Errorf("no archive: exit %d, %s", code, stderr)
	}
	if code, stdout, stderr := in.run(nil, "migrate", "up"); code != exitDone {
		t.Fatal(stdout, stderr)
	}
	code, _, stderr = in.run(nil, "query", "--function", urn, "--archived")
	if code != exitUsage || !strings.Contains(stderr, "there are no functions") {
		t.Errorf("an empty archive: exit %d, %s", code, stderr)
	}

	var pages atomic.Int64
	cut := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/async-invocations") {
			if pages.Add(1) > 1 {
				http.Error(w, `{"error_code":"FSS.0400","error_msg":"no more today"}`, http.StatusBadRequest)
				return
			}
		}
		api.ServeHTTP(w, r)
	}))
	cutIn := install(t, cut)
	span := []string{"query", "--function", urn, "--from", "2026-03-29", "--to", "2026-03-30"}
	code, stdout, stderr = cutIn.run(nil, append(span, "--json")...)
	if code != exitIncomplete || json.Valid([]byte(stdout)) || strings.Count(stdout, "request_id") != 500 || !strings.Contains(stderr, "these are not all") {
		t.Errorf("half an answer: exit %d, %d records, %s", code, strings.Count(stdout, "request_id"), stderr)
	}
	pages.Store(0)
	code, stdout, stderr = cutIn.run(nil, append(span, "--limit", "0")...)
	if code != exitIncomplete || strings.Count(stdout, "2026-03-29T") != 500 || !strings.Contains(stderr, "these are not all") || !strings.Contains(stderr, "no more today") {
		t.Errorf("half a table: exit %d, %d records, %s", code, strings.Count(stdout, "2026-03-29T"), stderr)
	}
}

// Ctrl-C ends a query at once.
func TestQueryInterrupted(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 9)
	in := install(t, newServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})))
	cmd := in.command(nil, "query", "--json", "--function", "urn:fss:x:p:function:default:a")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}
