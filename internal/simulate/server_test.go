package simulate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"archiver/internal/simulate"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1)
	for name, o := range map[string]simulate.Options{
		"no data":             {Token: token},
		"no authentication":   {Data: d},
		"half a key pair":     {Data: d, AccessKey: accessKey, Token: token},
		"negative rate limit": {Data: d, Token: token, RateLimit: -1},
	} {
		if _, err := simulate.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, generate(t, 2, 10))
	urn := s.Functions()[0].URN
	base := "/v2/" + projectID + "/fgs/functions"
	cases := []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", base, 200, ""},
		{"GET", base + "?maxitems=0", 200, ""},
		{"GET", base + "?maxitems=401", 200, ""},
		{"GET", base + "?maxitems=-1", 400, "FSS.0400"},
		{"GET", base + "?marker=99999999999", 200, ""},
		{"GET", base + "?marker=x", 400, "FSS.0400"},
		{"GET", base + "/" + urn + "/versions?marker=1", 200, ""},
		{"GET", base + "/" + urn + "/async-invoke-configs?marker=" + strings.Repeat("0", 65), 400, "FSS.0400"},
		{"GET", base + "/" + strings.ReplaceAll(urn, ":", "%3A") + "/versions", 200, ""},
		{"GET", base + "/" + strings.TrimSuffix(urn, ":latest") + "/async-invocations", 200, ""},
		{"GET", base + "/" + strings.TrimSuffix(urn, ":latest") + ":v2/async-invocations", 404, "FSS.0404"},
		{"GET", base + "/urn/async-invoke-configs", 404, "FSS.0404"},
		{"GET", base + "/" + urn, 404, "FSS.0404"},
		{"GET", base + "//versions", 404, "FSS.0404"},
		{"GET", base + "/../functions", 404, "FSS.0404"},
		{"GET", base + "/", 404, "FSS.0404"},
		{"GET", "/", 404, "FSS.0404"},
		{"POST", base, 404, "FSS.0404"},
		{"GET", "/v2/other/fgs/functions", 403, "FSS.0403"},
		{"GET", "/v2/other/fgs/functions/" + urn + "/async-invocations", 403, "FSS.0403"},
	}
	for _, c := range cases {
		w := send(s, c.method, c.path)
		var e struct {
			Code string `json:"error_code"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != c.status || e.Code != c.code {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, w.Code, w.Body, c.status, c.code)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1)
	s, _ := serve(t, d)
	keysOnly, _ := serve(t, d, func(o *simulate.Options) { o.Token = "" })
	for _, c := range []struct {
		name   string
		s      *simulate.Server
		header http.Header
		status int
	}{
		{"right", s, http.Header{"X-Auth-Token": {token}}, 200},
		{"wrong", s, http.Header{"X-Auth-Token": {token + "x"}}, 403},
		{"empty", s, http.Header{"X-Auth-Token": {""}}, 403},
		{"none", s, http.Header{}, 403},
		{"none configured", keysOnly, http.Header{"X-Auth-Token": {""}}, 403},
		{"other scheme", s, http.Header{"Authorization": {"Bearer " + token}}, 403},
		{"malformed signature", s, http.Header{"Authorization": {"SDK-HMAC-SHA256 Access=an-access-key"}}, 403},
		{"repeated field", s, http.Header{"Authorization": {"SDK-HMAC-SHA256 Access=a, Access=b, SignedHeaders=c, Signature=d"}}, 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/v2/"+projectID+"/fgs/functions", nil)
		r.Header = c.header
		w := httptest.NewRecorder()
		c.s.ServeHTTP(w, r)
		if w.Code != c.status || c.status == 403 && !strings.Contains(w.Body.String(), `"error_code":"FSS.0403"`) {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.status)
		}
	}
	if got := s.Stats().Forbidden; got != 6 {
		t.Errorf("%d calls counted as forbidden, want 6", got)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	now := noon
	s, _ := serve(t, generate(t, 1, 1), func(o *simulate.Options) {
		o.RateLimit = 2
		o.Now = func() time.Time { return now }
	})
	path := "/v2/" + projectID + "/fgs/functions"
	for i, want := range []int{200, 200, 429, 429} {
		if w := get(s, path); w.Code != want {
			t.Fatalf("call %d: %d %s, want %d", i, w.Code, w.Body, want)
		} else if want == 429 && (w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "APIGW.0308")) {
			t.Fatalf("call %d: %v %s", i, w.Header(), w.Body)
		}
	}
	now = now.Add(500 * time.Millisecond)
	for i, want := range []int{200, 429} {
		if w := get(s, path); w.Code != want {
			t.Errorf("call %d half a second later: %d, want %d", i, w.Code, want)
		}
	}
	if stats := s.Stats(); stats.Throttled != 3 || stats.ListFunctions != 3 {
		t.Errorf("stats: %+v", stats)
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	var slept []time.Duration
	s, _ := serve(t, generate(t, 1, 1), func(o *simulate.Options) {
		o.Latency = 3 * time.Second
		o.Sleep = func(ctx context.Context, d time.Duration) error {
			slept = append(slept, d)
			return ctx.Err()
		}
	})
	if w := get(s, "/nowhere"); w.Code != http.StatusNotFound || len(slept) != 1 || slept[0] != 3*time.Second {
		t.Errorf("status %d, slept %v", w.Code, slept)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/nowhere", nil))
	if w.Body.Len() != 0 {
		t.Errorf("a caller that has gone is answered: %s", w.Body)
	}
}

// The timer behind Latency ends with the request.
func TestLatencyEndsWithRequest(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, generate(t, 1, 1), func(o *simulate.Options) { o.Latency = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	})
	cancel()
	wg.Wait()
}

func TestInternalError(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, _ := serve(t, generate(t, 1, 1), func(o *simulate.Options) {
		o.Now = func() time.Time { panic("no clock") }
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	w := get(s, "/v2/"+projectID+"/fgs/functions/urn:fss:cn-north-4:"+projectID+":function:default:billing-import-001/async-invocations")
	if want := `{"error_code":"FSS.0500","error_msg":"internal error"}`; w.Code != 500 || w.Body.String() != want {
		t.Errorf("%d %s, want 500 %s", w.Code, w.Body, want)
	}
	if !strings.Contains(log.String(), "no clock") || s.Stats().Failed != 1 {
		t.Errorf("log: %s, stats: %+v", &log, s.Stats())
	}
}
