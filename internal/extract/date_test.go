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
	if _, answer := c.Ahead(); answer != 0 {
		t.Errorf("before any answer, answer %d says what time it is", answer)
	}
	for i, test := range []struct {
		name    string
		layout  string // of the time now
		headers http.Header
		status  int
		known   bool
		ahead   time.Duration // within some seconds
	}{
		{name: "equal", status: http.StatusOK, known: true},
		{name: "ahead", headers: http.Header{"Date": {date(2 * time.Hour)}}, status: http.StatusOK, known: true, ahead: 2 * time.Hour},
		{name: "refused", headers: http.Header{"Date": {date(-410 * 24 * time.Hour)}}, status: http.StatusForbidden, known: true, ahead: -410 * 24 * time.Hour},
		{name: "garbage", headers: http.Header{"Date": {"yesterday"}}, status: http.StatusOK},
		{name: "another zone", headers: http.Header{"Date": {time.Now().Add(8 * time.Hour).UTC().Format("Monday, 02-Jan-06 15:04:05 CST")}}, status: http.StatusOK},
		{name: "an obsolete format", layout: "Monday, 02-Jan-06 15:04:05 GMT", status: http.StatusOK, known: true},
		{name: "fresh", headers: http.Header{"Age": {"0"}}, status: http.StatusOK, known: true},
		{name: "out of a cache", headers: http.Header{"Date": {date(-time.Hour)}, "Age": {"3600"}}, status: http.StatusOK},
		{name: "no date", headers: http.Header{"Date": nil}, status: http.StatusOK},
	} {
		headers, status = test.headers, test.status
		if test.layout != "" {
			headers = http.Header{"Date": {time.Now().UTC().Format(test.layout)}}
		}
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
		ahead, answer := c.Ahead()
		if (answer == int64(i+1)) != test.known || !test.known && answer != 0 || (ahead-test.ahead).Abs() > 10*time.Second || test.ahead == 0 && ahead != 0 {
			t.Errorf("%s: %v ahead by answer %d; want %v, %v", test.name, ahead, answer, test.ahead, test.known)
		}
	}
}
