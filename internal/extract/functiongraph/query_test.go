package functiongraph

import (
	"fmt"
	"net/http"
	"testing"
)

// A status of the API's page is a filter. Another word is not sent, because the
// source would refuse it.
func TestStatusIsAskedFor(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{"": "", "FAIL": "FAIL", "WAIT": "WAIT", "Succeeded": "", "fail": ""} {
		asked, sent := "", false
		s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked, sent = r.URL.Query().Get("status"), r.URL.Query().Has("status")
			fmt.Fprint(w, `{"invocations":[],"count":0}`)
		}))
		q := hour
		q.Status, q.Newest, q.Search = status, true, true
		if _, err := read(t.Context(), s, q); err != nil || asked != want || sent != (want != "") {
			t.Errorf("%q is asked for as %q (%t), %v", status, asked, sent, err)
		}
	}
}
