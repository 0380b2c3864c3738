package extract_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

func TestStatusError(t *testing.T) {
	t.Parallel()
	const signature = "SDK-HMAC-SHA256 Access=AKIDEXAMPLE, SignedHeaders=host;x-sdk-date, Signature=0123456789abcdef"
	sent := http.Header{"Authorization": {signature}, "X-Auth-Token": {"MIIFtoken"}, "X-Security-Token": {"gQpjsecurity"}}
	cases := map[string]struct{ kind, body, want string }{
		"FunctionGraph":           {"application/json", `{"error_code":"FSS.0403","error_msg":"invalid token"}`, "answered 403 FSS.0403 invalid token (call r-1)"},
		"lower case":              {"application/json", `{"code":"Denied","message":"no"}`, "answered 403 Denied no (call r-1)"},
		"Code, Message":           {"application/json", `{"Code":"Denied","Message":"no"}`, "answered 403 Denied no (call r-1)"},
		"ErrorCode, ErrorMessage": {"application/json", `{"ErrorCode":"Denied","ErrorMessage":"no"}`, "answered 403 Denied no (call r-1)"},
		"a number":                {"application/json", `{"error_code":403,"error_msg":null}`, "answered 403 403 (call r-1)"},
		"HTML":                    {"text/html; charset=utf-8", "<html>\n</html>", "answered 403 with a body of text/html (call r-1)"},
		"nothing":                 {"", "", "answered 403 (call r-1)"},
		"lines":                   {"application/json", `{"error_code":"A","error_msg":"two\r\nlines\tand \u001b[31mred\u0000"}`, "answered 403 A two lines and \uFFFD[31mred\uFFFD (call r-1)"},
		"all secrets":             {"application/json", `{"error_code":"A","error_msg":"` + signature + ` MIIFtoken gQpjsecurity"}`, "answered 403 A *** *** *** (call r-1)"},
		"key, signature":          {"application/json", `{"error_code":"A","error_msg":"ak AKIDEXAMPLE: 0123456789abcdef"}`, "answered 403 A ak ***: *** (call r-1)"},
		"IAM":                     {"application/json", `{"error":{"message":"The username or password is wrong.","code":401,"title":"Unauthorized"}}`, "answered 403 401 The username or password is wrong. (call r-1)"},
		"error is a string":       {"application/json", `{"error":"no"}`, "answered 403 with a body of application/json (call r-1)"},
		"secrets of Redact":       {"application/json", `{"error_code":"A","error_msg":"{\"password\":\"hun\\\"ter2\"} hun\"ter2"}`, `answered 403 A {"password":"***"} *** (call r-1)`},
		"not JSON":                {"application/json", `{"error_code":`, "answered 403 with a body of application/json (call r-1)"},
		"a list":                  {"application/json", `["error_code"]`, "answered 403 with a body of application/json (call r-1)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if c.kind != "" {
					w.Header().Set("Content-Type", c.kind)
				}
				w.Header().Set("X-Request-Id", "r-1")
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, c.body)
			})
			err := newCaller(t, newClock(), extract.Options{}).Do(extract.Redact(t.Context(), `hun"ter2`), get(url, sent))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// The call's id is found in a header or in the body, under each of its names.
func TestCallID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ header, body, want string }{
		"FunctionGraph":    {"X-Request-Id", `{"error_code":"A","request_id":"of the body"}`, "of the header"},
		"Function Compute": {"X-Fc-Request-Id", `{"ErrorCode":"A"}`, "of the header"},
		"the body":         {"", `{"error_code":"A","error_msg":"no","request_id":"of the body"}`, "of the body"},
		"without a code":   {"", `{"RequestId":"of the body"}`, "of the body"},
		"a number":         {"", `{"request_id":7}`, "7"},
		"lines":            {"", `{"request_id":"of\n the \u001bbody"}`, "of the \uFFFDbody"},
		"none":             {"", `{"error_code":"A"}`, ""},
	} {
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if c.header != "" {
				w.Header().Set(c.header, "of the header")
			}
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, c.body)
		})
		err := newCaller(t, newClock(), extract.Options{}).Do(t.Context(), get(url, nil))
		if got := archive.CallID(fmt.Errorf("wrapped: %w", err)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if archive.CallID(errors.New("other")) != "" {
		t.Error("an error without a call has an id")
	}
}

// Throttling is logged once when it begins, and again when it begins again.
func TestThrottlingIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	clock := newClock()
	answers := 0
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if answers++; answers%3 != 0 {
			w.Header().Set("X-Request-Id", fmt.Sprint("r-", answers))
			w.WriteHeader(http.StatusTooManyRequests)
		}
		fmt.Fprint(w, "good")
	})
	c := newCaller(t, clock, extract.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	wantLines := func(want int) {
		t.Helper()
		for range 2 {
			if err := c.Do(t.Context(), get(url, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(log.String(), "throttles calls"); n != want || strings.Count(log.String(), "\n") != want {
			t.Errorf("logged %d times, want %d:\n%s", n, want, log.String())
		}
	}
	wantLines(1)
	wantLines(1)
	if err := clock.Sleep(t.Context(), 6*time.Minute); err != nil {
		t.Fatal(err)
	}
	wantLines(2)
	if !strings.Contains(log.String(), `"call_request_id":"r-1"`) {
		t.Errorf("the call's id is not logged: %s", log.String())
	}
}

// A long message is cut between two characters.
func TestStatusErrorLong(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error_code":"A","error_msg":"`+strings.Repeat("ü", 20_000)+`"}`)
	})
	var got *extract.StatusError
	err := newCaller(t, newClock(), extract.Options{}).Do(t.Context(), get(url, nil))
	if !errors.As(err, &got) || got.Message != strings.Repeat("ü", 150)+"…" {
		t.Errorf("got %v", err)
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.8.9.10": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "127.0.0.1.example.com": false, "localhost.example.com": false, "::ffff:10.0.0.1": false,
	} {
		if got := extract.Loopback(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

// The gateway of Function Compute repeats the signed text, and sends the call's
// id in its own header.
func TestStatusErrorFunctionCompute(t *testing.T) {
	t.Parallel()
	sent := http.Header{
		"Authorization":        {"ACS3-HMAC-SHA256 Credential=LTAIEXAMPLE,SignedHeaders=host;x-acs-date,Signature=fedcba9876543210"},
		"X-Acs-Security-Token": {"CAISsecurity"}, "X-Acs-Accesskey-Id": {"LTAIEXAMPLE"},
	}
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Fc-Request-Id", "fc-1")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"ErrorCode":"SignatureNotMatch","ErrorMessage":"x-acs-accesskey-id:LTAIEXAMPLE\nx-acs-security-token:CAISsecurity\nfedcba9876543210"}`)
	})
	err := newCaller(t, newClock(), extract.Options{}).Do(t.Context(), get(url, sent))
	const want = "answered 403 SignatureNotMatch x-acs-accesskey-id:*** x-acs-security-token:*** *** (call fc-1)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Several statuses and codes mean throttling.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status    int
		code      string
		throttled bool
	}{
		"429":                      {http.StatusTooManyRequests, "ResourceExhausted", true},
		"503 of Function Compute":  {http.StatusServiceUnavailable, "ResourceThrottled", true},
		"400 of its gateway":       {http.StatusBadRequest, "Throttling.User", true},
		"503":                      {http.StatusServiceUnavailable, "ServiceUnavailable", false},
		"500 with the code of 503": {http.StatusInternalServerError, "ResourceThrottled", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n == 0 {
					w.WriteHeader(c.status)
					fmt.Fprintf(w, `{"ErrorCode":%q,"ErrorMessage":"no"}`, c.code)
					return
				}
				fmt.Fprint(w, "good")
			})
			caller := newCaller(t, newClock(), extract.Options{})
			if err := caller.Do(t.Context(), get(url, nil)); err != nil {
				t.Fatal(err)
			}
			if refused := caller.Stats().Refused == 1; refused != c.throttled {
				t.Errorf("counted as throttled: %t", refused)
			}
		})
	}
}

// net/http quotes a malformed answer in its error; secrets in it are redacted.
func TestMalformedAnswerRedacted(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Auth-Token %s\r\n\r\n", r.Header.Get("X-Auth-Token"))
	})
	err := newCaller(t, newClock(), extract.Options{}).Do(t.Context(), get(url, http.Header{"X-Auth-Token": {"hunter2"}}))
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "X-Auth-Token ***") {
		t.Errorf("got %v", err)
	}
}
