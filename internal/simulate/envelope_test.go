package simulate_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// An error in the body of a 200, in each spelling, on both clouds' APIs.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 10)
	for spec, want := range map[string]struct{ graph, compute string }{
		"envelope=1": {
			`{"error_code":"FSS.0500","error_msg":"internal error","count":0}`,
			`{"ErrorCode":"InternalServerError","ErrorMessage":"internal error","count":0}`,
		},
		"envelope=1,envelope-list": {
			`{"error_code":"FSS.0500","error_msg":"internal error","count":0,"invocations":[]}`,
			`{"ErrorCode":"InternalServerError","ErrorMessage":"internal error","count":0,"invocations":[]}`,
		},
		"envelope=1,envelope-words=camel,envelope-error=throttled": {
			`{"errorCode":"APIGW.0308","errorMessage":"the throttling threshold has been reached","count":0}`,
			`{"errorCode":"ResourceExhausted","errorMessage":"the throttling threshold has been reached","count":0}`,
		},
		"envelope=1,envelope-words=short,envelope-error=denied": {
			`{"code":"FSS.0403","message":"no permission to do this","count":0}`,
			`{"code":"AccessDenied","message":"no permission to do this","count":0}`,
		},
		"hollow=1":                      {"{}", "{}"},
		"broken=1,broken-answer=hollow": {"{}", "{}"},
		"broken=1,broken-answer=envelope,envelope-words=title,envelope-error=missing": {
			`{"Code":"FSS.0404","Message":"can not find function","count":0}`,
			`{"Code":"FunctionNotFound","Message":"can not find function","count":0}`,
		},
	} {
		s, now := faulty(t, d, spec)
		if w := askDay(s, 0, 0, all, ""); w.Code != 200 || w.Body.String() != want.graph {
			t.Errorf("%s: %d %s", spec, w.Code, w.Body)
		}
		if w := getCompute(s, statefulPath(s.Functions()[0].Name, ""), "n", now.Now()); w.Code != 200 || w.Body.String() != want.compute {
			t.Errorf("%s at Function Compute: %d %s", spec, w.Code, w.Body)
		}
	}
}

// The list in an envelope has the name of the list that was asked for.
func TestEnvelopeLists(t *testing.T) {
	t.Parallel()
	s, now := faulty(t, generate(t, 1, 10), "envelope=1,envelope-list,envelope-words=mixed")
	urn := s.Functions()[0].URN
	for path, name := range map[string]string{
		listPath:                           "functions",
		listPath + "/" + urn + "/versions": "versions",
		listPath + "/" + urn + "/async-invoke-configs": "async_invoke_configs",
	} {
		if w := get(s, path); !strings.HasSuffix(w.Body.String(), `,"count":0,"`+name+`":[]}`) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if w := getCompute(s, computePrefix+"stateful-async-invocation-functions", "n", now.Now()); !strings.HasSuffix(w.Body.String(), `"data":[]}`) {
		t.Errorf("%s", w.Body)
	}
}

// Deleted functions, and functions that are refused, answer as they are told to, on both
// clouds' APIs.
func TestFunctionAnswers(t *testing.T) {
	t.Parallel()
	d := generate(t, 4, 100)
	for _, c := range []struct {
		answer         string
		status         int
		graph, compute string
	}{
		{"401", 401, "FSS.0401", "Unauthorized"},
		{"403", 403, "FSS.0403", "AccessDenied"},
		{"404", 404, "FSS.0404", "FunctionNotFound"},
		{"429", 429, "APIGW.0308", "ResourceExhausted"},
		{"500", 500, "FSS.0500", "InternalServerError"},
		{"FSS.0410", 410, "FSS.0410", "FunctionNotFound"},
		{"FSS.1051", 404, "FSS.1051", "FunctionNotFound"},
		{"FSS.1052", 400, "FSS.1052", "FunctionNotFound"},
		{"ServiceNotFound", 404, "FSS.0404", "ServiceNotFound"},
		{"VersionNotFound", 404, "FSS.0404", "VersionNotFound"},
		{"AliasNotFound", 404, "FSS.0404", "AliasNotFound"},
		{"AsyncConfigNotExists", 404, "FSS.0404", "AsyncConfigNotExists"},
	} {
		for _, fault := range []string{"gone", "broken"} {
			s, now := faulty(t, d, fault+"=0.1,"+fault+"-answer="+c.answer)
			met := 0
			for i, f := range s.Functions() {
				status, graph, compute := 200, "", ""
				if f.Gone || f.Broken {
					status, graph, compute = c.status, `"`+c.graph+`"`, `"`+c.compute+`"`
					met++
				}
				if w := askDay(s, i, 0, all, ""); w.Code != status || !strings.Contains(w.Body.String(), graph) {
					t.Errorf("%s=%s: %d %s", fault, c.answer, w.Code, w.Body)
				}
				if w := getCompute(s, statefulPath(f.Name, ""), "n", now.Now()); w.Code != status || !strings.Contains(w.Body.String(), compute) {
					t.Errorf("%s=%s: %d %s", fault, c.answer, w.Code, w.Body)
				}
			}
			if met != 1 {
				t.Errorf("%s=%s: %d functions", fault, c.answer, met)
			}
		}
	}
}

// A list of functions that counts more than it names, that leaves out what is gone, or
// that is refused.
func TestFunctionLists(t *testing.T) {
	t.Parallel()
	d := generate(t, 30, 100)
	for _, c := range []struct {
		spec          string
		status        int
		named, counts int
	}{
		{"cap=500", 200, 30, 30},
		{"lists=10", 200, 10, 30},
		{"lists=99", 200, 30, 30},
		{"gone=0.1", 200, 30, 30},
		{"gone=0.1,gone-listed=no", 200, 27, 27},
		{"list-denied", 403, 0, 0},
	} {
		s, now := faulty(t, d, c.spec)
		w := get(s, listPath)
		if n := strings.Count(w.Body.String(), "func_urn"); w.Code != c.status || n != c.named ||
			c.status == 200 && !strings.HasSuffix(w.Body.String(), `"count":`+strconv.Itoa(c.counts)+`}`) {
			t.Errorf("%s: %d, %d functions: %s", c.spec, w.Code, n, w.Body)
		}
		w = getCompute(s, computePrefix+"stateful-async-invocation-functions?limit=100", "n", now.Now())
		if n := strings.Count(w.Body.String(), "functionName"); w.Code != c.status || n != c.named || strings.Contains(w.Body.String(), "nextToken") {
			t.Errorf("%s at Function Compute: %d, %d functions", c.spec, w.Code, n)
		}
	}
}
