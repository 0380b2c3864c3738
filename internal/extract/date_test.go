package extract_test

import (
	"net/http"
	"testing"
	"time"

	"archiver/internal/extract"
)

// The Date of the last answer, also of a refusal, says how far the source's clock is ahead.
// An answer without a usable Date says nothing.
func TestAhead(t *testing.T) {
	t.Parallel()
	date := func(ahead time.Duration) string { return time.Now().Add(ahead).UTC().Format(http.TimeFormat) }
	var headers http.Header
	status := http.StatusOK
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		for name, values := range headers {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
	})
	c := extract.NewCaller(extract.Options{Clock: newClock()})
	for _, test := range []struct {
		name    string
		headers http.Header
		status  int
		known   bool
		ahead   time.Duration // within some seconds
	}{
		{name: "equal", status: http.StatusOK, known: true},
		{name: "ahead", headers: http.Header{"Date": {date(2 * time.Hour)}}, status: http.StatusOK, known: true, ahead: 2 * time.Hour},
		{name: "refused", headers: http.Header{"Date": {date(-410 * 24 * time.Hour)}}, status: http.StatusForbidden, known: true, ahead: -410 * 24 * time.Hour},
		{name: "garbage", headers: http.Header{"Date": {"yesterday"}}, status: http.StatusOK},
		{name: "fresh", headers: http.Header{"Age": {"0"}}, status: http.StatusOK, known: true},
		{name: "out of a cache", headers: http.Header{"Date": {date(-time.Hour)}, "Age": {"3600"}}, status: http.StatusOK},
		{name: "no date", headers: http.Header{"Date": nil}, status: http.StatusOK},
	} {
		headers, status = test.headers, test.status
		_ = c.Do(t.Context(), func(transport http.RoundTripper) error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				return err
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
		if ahead, known := c.Ahead(); known != test.known || (ahead-test.ahead).Abs() > 10*time.Second || test.ahead == 0 && ahead != 0 {
			t.Errorf("%s: %v ahead, %v; want %v, %v", test.name, ahead, known, test.ahead, test.known)
		}
	}
}
