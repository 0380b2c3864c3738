package functiongraph

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/conformance"
	"archiver/internal/extract"
)

// The page size of the sources under test.
const conformancePage = 5

// The suite of all sources, with various count and next_marker
// (TestPagerReadsAll has more).
func TestConformance(t *testing.T) {
	var ways []conformance.Way
	for _, count := range []string{"right", "absent", "own", "zero", "one"} {
		for _, next := range []string{"absent at end", "absent", "zero at end", "same at end", "within"} {
			c := answerShape{count: counts[count], next: nexts[next], text: next == "zero at end"}
			ways = append(ways, conformance.Way{
				Name: "count " + count + ", next " + next, Counts: count == "right", Overlaps: next == "within",
				ShortPages: count == "right" || (count == "absent" || count == "zero") && next == "absent at end",
				Handler:    c.handler,
			})
		}
	}
	conformance.Test(t, conformance.Suite{
		Provider: Provider, PageSize: conformancePage, FunctionPage: maxFunctions, Ways: ways,
		Function: func(n int) archive.Function {
			name := fmt.Sprintf("f%d", n)
			return archive.Function{URN: "urn:fss:cn-north-4:" + testProject + ":function:default:" + name + ":latest", Name: name}
		},
		Open: func(t *testing.T, url string, caller *extract.Caller) archive.Source {
			t.Helper()
			s, err := New(t.Context(), Options{
				Region: "cn-north-4", Endpoint: url, ProjectID: testProject,
				AccessKey: extract.FixedSecret("key", testKey), SecretKey: extract.FixedSecret("secret", testSecret),
				PageSize: conformancePage,
			}, caller, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Denied: []conformance.Refusal{
			{Status: 401, Body: `{"error_code":"APIGW.0301","error_msg":%q}`},
			{Status: 403, Body: `{"error_code":"FSS.0403","error_msg":%q}`},
		},
		Gone: conformance.Refusal{Status: 404, Body: `{"error_code":"FSS.0404","error_msg":%q}`},
		Elsewhere: []conformance.Refusal{
			{Status: 404, Body: `{"error_code":"APIG.0101","error_msg":%q}`},
			{Status: 404, Body: `{"error_msg":%q}`},
			{Status: 404, Body: "<html>%s</html>"},
			{Status: 302, Body: "%s"},
		},
		Secrets: []string{testKey, testSecret, "Signature="},
		Unusable: []string{
			`{"status":"FAIL"}`, `{"request_id":""}`, `{"request_id":7}`, `{"request_id":"` + strings.Repeat("x", 65) + `"}`,
			`{"request_id":"a","start_time":"2026-02-30T00:00:00"}`, `7`, `null`,
		},
		Codes: conformance.Codes{Throttled: "FSS.0429", Failing: "FSS.0500", Denied: "FSS.0403", Gone: "FSS.0404"},
		Sentinels: []string{
			`{"request_id":%q,"status":"RUNNING","start_time":"1970-01-01T00:00:00","end_time":"0001-01-01T00:00:00Z"}`,
			`{"request_id":%q,"status":"WAIT","start_time":"0000-00-00 00:00:00","end_time":"9999-12-31T23:59:59"}`,
		},
		Versions: &conformance.Versions{
			Version: func(n int) archive.Function {
				return archive.Function{URN: fmt.Sprintf("urn:fss:cn-north-4:%s:function:default:f0:v%d", testProject, n), Name: "f0"}
			},
			Alias: func(n int) archive.Alias {
				a := archive.Alias{Name: fmt.Sprintf("alias%d", n), Version: fmt.Sprintf("v%d", n), Description: "it's \"n\""}
				if n%2 > 0 {
					a.Additional = []byte(`{"v0":10}`)
				}
				return a
			},
			Page: maxVersions,
			None: []conformance.Refusal{
				{Status: 404, Body: `{"error_code":"APIG.0101","error_msg":%q}`},
				{Status: 405, Body: "<html>%s</html>"},
			},
			Unusable: []string{`{}`, `{"version":"a b"}`, `{"version":null}`, `7`}, UnusableAliases: []string{`{}`, `{"name":"a"}`, `7`, `null`},
		},
		Settings: &conformance.Settings{
			Setting: func(n int) archive.Setting {
				return archive.Setting{
					URN:         fmt.Sprintf("urn:fss:cn-north-4:%s:function:default:f0:v%d", testProject, n),
					MaxEventAge: 60 + n, MaxRetries: n % 4, OnSuccess: "SMN", OnFailure: "FunctionGraph", StatusLog: new(bool),
					Created: noon, Modified: noon.Add(time.Duration(n) * time.Second),
				}
			},
			Page: maxSettings, Unusable: []string{`{}`, `{"func_urn":7}`, `7`, `null`},
		},
	})
}

// An answerShape writes the answers of FunctionGraph (pages: Querying Functions,
// Querying Asynchronous Invocation Requests, and the pages of versions, aliases
// and settings).
type answerShape struct {
	count func(total, n int) int
	next  func(offset, n, total int) int
	text  bool // next_marker is a string
}

func (c answerShape) handler(of *conformance.Cloud) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{project}/fgs/functions", func(w http.ResponseWriter, r *http.Request) {
		offset, limit := number(r, "marker"), number(r, "maxitems")
		page, next, total := of.Functions(offset, limit)
		list := make([]any, len(page))
		for i, f := range page {
			list[i] = map[string]any{"func_urn": f.URN, "func_name": f.Name}
		}
		c.write(w, "functions", list, offset, next, total)
	})
	mux.HandleFunc("GET /v2/{project}/fgs/functions/{urn}/async-invocations", func(w http.ResponseWriter, r *http.Request) {
		from, _ := time.Parse(time.RFC3339, r.URL.Query().Get("query_begin_time"))
		to, _ := time.Parse(time.RFC3339, r.URL.Query().Get("query_end_time"))
		a := of.List(conformance.Question{
			Function: r.PathValue("urn"), From: from, To: to, RequestID: r.URL.Query().Get("request_id"),
			Offset: number(r, "marker"), Limit: number(r, "limit"),
		})
		list := make([]any, len(a.Records))
		for i, record := range a.Records {
			list[i] = element(record)
		}
		c.write(w, "invocations", list, number(r, "marker"), a.Next, a.Total)
	})
	mux.HandleFunc("GET /v2/{project}/fgs/functions/{urn}/versions", func(w http.ResponseWriter, r *http.Request) {
		offset := number(r, "marker")
		page, next, total := of.Versions(r.PathValue("urn"), offset, number(r, "maxitems"))
		list := toJSON(page, func(f archive.Function) any {
			return map[string]any{"func_urn": f.URN, "version": f.URN[strings.LastIndex(f.URN, ":")+1:]}
		})
		c.write(w, "versions", list, offset, next, total)
	})
	mux.HandleFunc("GET /v2/{project}/fgs/functions/{urn}/aliases", func(w http.ResponseWriter, r *http.Request) {
		page, _, _ := of.Aliases(r.PathValue("urn"), 0, math.MaxInt32)
		list := toJSON(page, func(a archive.Alias) any {
			return map[string]any{
				"name": a.Name, "version": a.Version, "description": a.Description, "additional_version_weights": json.RawMessage(a.Additional),
			}
		})
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	})
	mux.HandleFunc("GET /v2/{project}/fgs/functions/{urn}/async-invoke-configs", func(w http.ResponseWriter, r *http.Request) {
		offset := number(r, "marker")
		page, next, total := of.Settings(r.PathValue("urn"), offset, number(r, "limit"))
		list := toJSON(page, func(s archive.Setting) any {
			to := func(kind string) any { return map[string]any{"destination": kind, "param": "{}"} }
			return map[string]any{
				"func_urn": s.URN, "max_async_event_age_in_seconds": s.MaxEventAge, "max_async_retry_attempts": s.MaxRetries,
				"destination_config":      map[string]any{"on_success": to(s.OnSuccess), "on_failure": to(s.OnFailure)},
				"enable_async_status_log": s.StatusLog, "created_time": s.Created, "last_modified": s.Modified,
			}
		})
		c.write(w, "async_invoke_configs", list, offset, next, total)
	})
	return mux
}

// toJSON returns elements in the cloud's JSON.
func toJSON[T any](page []conformance.Element[T], write func(T) any) []any {
	list := make([]any, len(page))
	for i, e := range page {
		if list[i] = json.RawMessage(e.Raw); e.Raw == "" {
			list[i] = write(e.Is)
		}
	}
	return list
}

func element(r conformance.Record) any {
	if r.Raw != "" {
		return json.RawMessage(r.Raw)
	}
	e := map[string]any{"request_id": r.ID, "status": r.Status, "error_code": 0, "error_message": r.Message, "start_time": r.Start.Format("2006-01-02T15:04:05")}
	if !r.End.IsZero() {
		e["end_time"] = r.End.Format("2006-01-02T15:04:05")
	}
	return e
}

func (c answerShape) write(w http.ResponseWriter, name string, list []any, offset, end, total int) {
	body := map[string]any{name: list}
	if n := c.count(total, len(list)); n >= 0 {
		body["count"] = n
	}
	if n := c.next(offset, end-offset, total); n >= 0 {
		body["next_marker"] = n
		if c.text {
			body["next_marker"] = strconv.Itoa(n)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func number(r *http.Request, name string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(name))
	return n
}
