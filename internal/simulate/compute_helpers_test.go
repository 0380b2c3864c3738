package simulate_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const computePrefix = "/2021-04-06/"

// getCompute makes a call of Function Compute, signed at a time and with a nonce. The
// query's parameters are in ascending order.
func getCompute(h http.Handler, target, nonce string, now time.Time) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	sum := sha256.Sum256(nil)
	content := hex.EncodeToString(sum[:])
	date := now.UTC().Format(time.RFC3339)
	r.Header.Set("X-Acs-Date", date)
	r.Header.Set("X-Acs-Content-Sha256", content)
	r.Header.Set("X-Acs-Signature-Nonce", nonce)
	const signed = "host;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce"
	headers := "host:" + r.Host + "\nx-acs-content-sha256:" + content + "\nx-acs-date:" + date + "\nx-acs-signature-nonce:" + nonce + "\n"
	canonical := strings.Join([]string{r.Method, r.URL.Path, r.URL.RawQuery, headers, signed, content}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(hash[:])))
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+accessKey+",SignedHeaders="+signed+",Signature="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// statefulPath is where a function's records are asked for, by its name.
func statefulPath(name, query string) string {
	return computePrefix + "services/default/functions/" + name + "/stateful-async-invocations?" + query
}

// readStateful reads a list to its end, from the query's first page on. It returns the
// records and the first refusal.
func readStateful(t testing.TB, h http.Handler, name, query string, now time.Time) (records []json.RawMessage, refused *httptest.ResponseRecorder) {
	t.Helper()
	for token := ""; ; {
		full := query
		if token != "" {
			// In ascending order of names: limit, nextToken, startedTime….
			limit, times, _ := strings.Cut(query, "&")
			full = limit + "&nextToken=" + token
			if times != "" {
				full += "&" + times
			}
		}
		w := getCompute(h, statefulPath(name, full), "", now)
		if w.Code != http.StatusOK {
			return records, w
		}
		var page struct {
			Invocations []json.RawMessage `json:"invocations"`
			NextToken   string            `json:"nextToken"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatalf("%s: %v: %.200s", full, err, w.Body)
		}
		records = append(records, page.Invocations...)
		if token = page.NextToken; token == "" {
			return records, nil
		}
	}
}
