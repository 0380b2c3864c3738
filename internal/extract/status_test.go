package extract_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"archiver/internal/extract"
)

func TestStatusError(t *testing.T) {
	t.Parallel()
	const signature = "SDK-HMAC-SHA256 Access=AKIDEXAMPLE, SignedHeaders=host;x-sdk-date, Signature=0123456789abcdef"
	sent := http.Header{"Authorization": {signature}, "X-Auth-Token": {"MIIFtoken"}, "X-Security-Token": {"gQpjsecurity"}}
	cases := map[string]struct{ kind, body, want string }{
		"the API's own":  {"application/json", `{"error_code":"FSS.0403","error_msg":"invalid token"}`, "answered 403 FSS.0403 invalid token (call r-1)"},
		"the other's":    {"application/json", `{"code":"Denied","message":"no"}`, "answered 403 Denied no (call r-1)"},
		"a number":       {"application/json", `{"error_code":403,"error_msg":null}`, "answered 403 403 (call r-1)"},
		"HTML":           {"text/html; charset=utf-8", "<html>\n</html>", "answered 403 with a body of text/html (call r-1)"},
		"nothing":        {"", "", "answered 403 (call r-1)"},
		"lines":          {"application/json", `{"error_code":"A","error_msg":"two\r\nlines\tand \u001b[31mred\u0000"}`, "answered 403 A two lines and \uFFFD[31mred\uFFFD (call r-1)"},
		"all secrets":    {"application/json", `{"error_code":"A","error_msg":"` + signature + ` MIIFtoken gQpjsecurity"}`, "answered 403 A *** *** *** (call r-1)"},
		"key, signature": {"application/json", `{"error_code":"A","error_msg":"ak AKIDEXAMPLE: 0123456789abcdef"}`, "answered 403 A ak ***: *** (call r-1)"},
		"IAM's":          {"application/json", `{"error":{"message":"The username or password is wrong.","code":401,"title":"Unauthorized"}}`, "answered 403 401 The username or password is wrong. (call r-1)"},
		"a bare error":   {"application/json", `{"error":"no"}`, "answered 403 with a body of application/json (call r-1)"},
		"of the context": {"application/json", `{"error_code":"A","error_msg":"{\"password\":\"hun\\\"ter2\"} hun\"ter2"}`, `answered 403 A {"password":"***"} *** (call r-1)`},
		"not JSON":       {"application/json", `{"error_code":`, "answered 403 with a body of application/json (call r-1)"},
		"a list":         {"application/json", `["error_code"]`, "answered 403 with a body of application/json (call r-1)"},
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
			err := newCaller(t, newClock(), extract.Options{}).Do(extract.Hide(t.Context(), `hun"ter2`), get(url, sent))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// A long message is clipped, between two characters; an endless one is not
// read to its end.
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

// An answer that is no HTTP is quoted in the error, without the secrets that it
// repeats.
func TestBrokenAnswerHidden(t *testing.T) {
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
