package functioncompute

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/conformance"
	"archiver/internal/extract"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const conformancePage = 5

// The suite of all sources, with various last pages and tokens.
func TestConformance(t *testing.T) {
	var ways []conformance.Way
	for name, c := range map[string]cloud{
		"nextToken absent at end": {}, "empty at end": {end: `""`}, "null at end": {end: "null"}, "odd tokens": {prefix: "ä &=/+%2F?#"},
	} {
		ways = append(ways, conformance.Way{Name: name, ShortPages: true, Handler: c.handler})
	}
	conformance.Test(t, conformance.Suite{
		Provider: Provider, PageSize: conformancePage, FunctionPage: maxLimit, Ways: ways,
		Function: func(n int) archive.Function {
			return archive.Function{
				URN:  fmt.Sprintf("acs:fc:cn-hangzhou:%s:services/service/functions/f%d", testAccount, n),
				Name: fmt.Sprintf("service/f%d", n),
			}
		},
		Open: func(t *testing.T, url string, caller *extract.Caller) archive.Source {
			t.Helper()
			o := options()
			o.Endpoint, o.PageSize = url, conformancePage
			s, err := New(o, caller, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Denied: []conformance.Refusal{
			{Status: 401, Body: `{"ErrorCode":"AccessDenied","ErrorMessage":%q}`},
			{Status: 403, Body: `{"ErrorCode":"AccessDenied","ErrorMessage":%q}`},
			{Status: 400, Body: `{"Code":"SignatureDoesNotMatch","Message":%q}`},
		},
		Gone: conformance.Refusal{Status: 404, Body: `{"ErrorCode":"FunctionNotFound","ErrorMessage":%q}`},
		Elsewhere: []conformance.Refusal{
			{Status: 404, Body: `{"ErrorCode":"NotFound","ErrorMessage":%q}`},
			{Status: 404, Body: "<html>%s</html>"},
			{Status: 302, Body: "%s"},
		},
		Secrets: []string{testKey, testSecret, testToken},
		Unusable: []string{
			`{"status":"Succeeded"}`, `{"requestId":""}`, `{"requestId":7}`, `{"requestId":"` + strings.Repeat("x", 65) + `"}`, `7`, `null`,
		},
		Codes: conformance.Codes{Throttled: "ResourceExhausted", Failing: "InternalServerError", Denied: "AccessDenied", Gone: "FunctionNotFound"},
		Sentinels: []string{
			`{"requestId":%q,"status":"Running","startedTime":0,"endTime":"1970-01-01T00:00:00Z"}`,
			`{"requestId":%q,"status":"Enqueued","startedTime":-62135596800000,"endTime":253402300799000}`,
		},
	})
}

// A cloud writes the answers of Function Compute (page:
// ListStatefulAsyncInvocations).
type cloud struct {
	end    string // nextToken of the last page, as JSON; empty means absent
	prefix string // of tokens
}

func (c cloud) handler(of *conformance.Cloud) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2021-04-06/stateful-async-invocation-functions", func(w http.ResponseWriter, r *http.Request) {
		page, next, total := of.Functions(c.offset(r), number(r, "limit"))
		list := make([]any, len(page))
		for i, f := range page {
			service, name, _ := strings.Cut(f.Name, "/")
			list[i] = map[string]any{"serviceName": service, "functionName": name}
		}
		c.write(w, "data", list, next, next < total)
	})
	mux.HandleFunc("GET /2021-04-06/services/{service}/functions/{function}/stateful-async-invocations", func(w http.ResponseWriter, r *http.Request) {
		from, to := int64(number(r, "startedTimeBegin")), int64(number(r, "startedTimeEnd"))
		a := of.List(conformance.Question{
			Function: fmt.Sprintf("acs:fc:cn-hangzhou:%s:services/%s/functions/%s", testAccount, r.PathValue("service"), r.PathValue("function")),
			From:     time.UnixMilli(from), To: time.UnixMilli(to), RequestID: r.URL.Query().Get("invocationIdPrefix"),
			Offset: c.offset(r), Limit: number(r, "limit"), OldestFirst: r.URL.Query().Get("sortOrderByTime") == "asc",
		})
		list := make([]any, len(a.Records))
		for i, record := range a.Records {
			list[i] = element(record)
		}
		c.write(w, "invocations", list, a.Next, a.More)
	})
	return mux
}

var words = map[string]string{
	archive.StatusWait: "Enqueued", archive.StatusRunning: "Running", archive.StatusSuccess: "Succeeded",
	archive.StatusFail: "Failed", archive.StatusDiscard: "Expired",
}

func element(r conformance.Record) any {
	if r.Raw != "" {
		return json.RawMessage(r.Raw)
	}
	e := map[string]any{
		"requestId": r.ID, "invocationId": r.ID, "status": words[r.Status],
		"invocationErrorMessage": r.Message, "startedTime": r.Start.UnixMilli(),
	}
	if !r.End.IsZero() {
		e["endTime"] = r.End.UnixMilli()
	}
	return e
}

func (c cloud) write(w http.ResponseWriter, name string, list []any, next int, more bool) {
	body := map[string]any{name: list}
	switch {
	case more:
		body["nextToken"] = c.prefix + strconv.Itoa(next)
	case c.end != "":
		body["nextToken"] = json.RawMessage(c.end)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (c cloud) offset(r *http.Request) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Query().Get("nextToken"), c.prefix))
	return n
}

func number(r *http.Request, name string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(name))
	return n
}
