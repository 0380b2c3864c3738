package extract_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/answer"
)

// list reads the answer as a list, as the clouds' clients do.
func list(url string, header http.Header) func(http.RoundTripper) error {
	return func(transport http.RoundTripper) error {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Header = header
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = answer.ReadList(resp.Body, nil)
		return err
	}
}

// An error in the envelope of a 200 is the error of the status that its code stands for:
// it is retried or not, and counted and observed, like an answer with that status.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    string
		status  int
		calls   int64
		refused int64
		outcome string
	}{
		"throttled by FunctionGraph":    {`{"error_code":"APIG.0308","error_msg":"no"}`, 429, 2, 1, "throttled"},
		"throttled by Function Compute": {`{"Code":"ResourceThrottled","Message":"no"}`, 429, 2, 1, "throttled"},
		"throttled by a gateway":        {`{"code":"Throttling.Api","message":"no"}`, 429, 2, 1, "throttled"},
		"throttled by number":           {`{"error":{"code":429,"message":"no"}}`, 429, 2, 1, "throttled"},
		"failed":                        {`{"error_code":"FSS.0500","error_msg":"no","count":0,"invocations":[]}`, 500, 2, 0, "server_error"},
		"unknown":                       {`{"errorMessage":"no"}`, 500, 2, 0, "server_error"},
		"not found":                     {`{"error_code":"FSS.0404","error_msg":"no"}`, 404, 1, 0, "not_found"},
		"no such function":              {`{"ErrorCode":"FunctionNotFound","ErrorMessage":"no"}`, 404, 1, 0, "not_found"},
		"denied":                        {`{"Code":"AccessDenied","Message":"no"}`, 403, 1, 0, "denied"},
		"wrong key":                     {`{"Code":"InvalidAccessKeyId.NotFound","Message":"no"}`, 403, 1, 0, "denied"},
		"wrong token":                   {`{"Code":"InvalidNextToken","Message":"no"}`, 400, 1, 0, "refused"},
		"stray 401":                     {`{"error_code":"APIGW.0301","error_msg":"no"}`, 401, 2, 0, "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Request-Id", "r-1")
				body := c.body
				if n > 0 {
					body = "[]"
				}
				_, _ = io.WriteString(w, strings.Replace(body, `no"`, `no to `+r.Header.Get("X-Auth-Token")+`"`, 1))
			})
			o := new(observer)
			caller := newCaller(t, newClock(), extract.Options{Observe: o.observe})
			err := caller.Do(t.Context(), list(url, http.Header{"X-Auth-Token": {"hunter2"}}))
			if got := caller.Stats(); got != (archive.SourceStats{Calls: c.calls, Refused: c.refused, Answered: c.calls - 1}) || (err == nil) != (c.calls == 2) {
				t.Errorf("%v after %+v", err, got)
			}
			if o.outcomes[0] != c.outcome {
				t.Errorf("observed %q, want %q", o.outcomes, c.outcome)
			}
			if c.calls == 2 {
				return
			}
			var status *extract.StatusError
			if !errors.As(err, &status) || status.Status != c.status || status.RequestID != "r-1" ||
				!strings.HasPrefix(err.Error(), "answered 200 ") || !strings.HasSuffix(err.Error(), "no to *** (call r-1)") {
				t.Errorf("got %v", err)
			}
		})
	}
}
