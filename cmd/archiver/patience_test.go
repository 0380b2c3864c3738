package main

import (
	"net/http"
	"strings"
	"testing"
)

// busy refuses calls with a path that ends with the suffix as too many.
func busy(next http.Handler, suffix string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"error_code":"APIG.0308","error_msg":"The throttling threshold has been reached"}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A source that accepts no call ends the pass after --source-patience. No window has
// failed.
func TestSourcePatience(t *testing.T) {
	t.Parallel()
	api, _ := simulator(t, generated(t, 3, 300, 1))
	in := install(t, newServer(t, busy(api, "/async-invocations")))
	code, stdout, stderr := in.run(nil, "once", "--lookback", "24h", "--source-patience", "2s")
	if code != exitIncomplete || !strings.Contains(stderr, "archiver: the source accepts no calls for 2s: ") || !strings.Contains(stdout, "windows not reached") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, `"msg":"run ended, the source accepts no calls, windows are pending"`) {
		t.Errorf("the log does not say why the run ended:\n%s", stderr)
	}
	states := queryValue[string](in, `SELECT string_agg(DISTINCT state, ' ') FROM window_coverage`)
	if outcome := queryValue[string](in, `SELECT outcome FROM runs`); states != "pending" || outcome != "incomplete" {
		t.Errorf("the windows are %s, the run %s", states, outcome)
	}
}
