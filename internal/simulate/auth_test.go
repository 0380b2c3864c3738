package simulate_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"archiver/internal/simulate"
)

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// signed returns the Authorization header for a canonical request that the test
// writes out, as of noon.
func signed(access, headers, canonical string) string {
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte("SDK-HMAC-SHA256\n20260314T120000Z\n" + hash(canonical)))
	return "SDK-HMAC-SHA256 Access=" + access + ", SignedHeaders=" + headers + ", Signature=" + hex.EncodeToString(mac.Sum(nil))
}

// Signatures of clients other than the SDK. Each canonical request is written out.
func TestSpelledOutSignatures(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, generate(t, 1, 1), func(o *simulate.Options) { o.Now = func() time.Time { return noon } })
	const (
		path    = "/v2/" + projectID + "/fgs/functions"
		first   = "GET\n" + path + "/\nmarker=0&maxitems=5\n"
		dated   = "x-sdk-date:20260314T120000Z\n"
		date    = "x-sdk-date"
		payload = "X-Sdk-Content-Sha256"
	)
	cases := []struct {
		name          string
		authorization string
		header        map[string]string
		body          string
		status        int
	}{
		{
			name:          "date alone",
			authorization: signed(accessKey, date, first+dated+"\n"+date+"\n"+hash("")),
			status:        200,
		}, {
			name:          "host",
			authorization: signed(accessKey, "host;"+date, first+"host:example.com\n"+dated+"\nhost;"+date+"\n"+hash("")),
			status:        200,
		}, {
			name:          "another host",
			authorization: signed(accessKey, "host;"+date, first+"host:example.org\n"+dated+"\nhost;"+date+"\n"+hash("")),
			status:        403,
		}, {
			name:          "body",
			authorization: signed(accessKey, date, first+dated+"\n"+date+"\n"+hash("{}")),
			body:          "{}", status: 200,
		}, {
			name:          "another body",
			authorization: signed(accessKey, date, first+dated+"\n"+date+"\n"+hash("{}")),
			body:          "[]", status: 403,
		}, {
			name:          "body's hash in a header",
			authorization: signed(accessKey, date, first+dated+"\n"+date+"\n"+hash("{}")),
			header:        map[string]string{payload: hash("{}")}, body: "{}", status: 200,
		}, {
			name:          "another body's hash in a header",
			authorization: signed(accessKey, date, first+dated+"\n"+date+"\n"+hash("{}")),
			header:        map[string]string{payload: hash("{}")}, body: "[]", status: 403,
		}, {
			name:          "unsigned body",
			authorization: signed(accessKey, date, first+dated+"\n"+date+"\nUNSIGNED-PAYLOAD"),
			header:        map[string]string{payload: "UNSIGNED-PAYLOAD"}, body: "[]", status: 200,
		}, {
			name:          "body too long",
			authorization: signed(accessKey, date, first+dated+"\n"+date+"\n"+hash(strings.Repeat("x", 2<<20))),
			body:          strings.Repeat("x", 2<<20), status: 403,
		}, {
			name:          "another access key",
			authorization: signed("other", date, first+dated+"\n"+date+"\n"+hash("")),
			status:        403,
		}, {
			name:          "date not signed",
			authorization: signed(accessKey, "host", first+"host:example.com\n\nhost\n"+hash("")),
			status:        403,
		}, {
			name:          "header signed that is not there",
			authorization: signed(accessKey, "x-none;"+date, first+dated+"\nx-none;"+date+"\n"+hash("")),
			status:        403,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "http://example.com"+path+"?maxitems=5&marker=0", strings.NewReader(c.body))
			r.Header.Set("X-Sdk-Date", "20260314T120000Z")
			r.Header.Set("Authorization", c.authorization)
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.status)
			}
		})
	}
}
