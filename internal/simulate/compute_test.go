package simulate

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// A query for a status that the page does not have is refused, even if records can
// have that status.
func TestStatefulStatus(t *testing.T) {
	t.Parallel()
	for word, ok := range map[string]bool{"": true, "Failed": true, "Stopping": true, "failed": false, "FAIL": false, "Dequeued": false} {
		_, err := parseStateful(call{query: url.Values{"status": {word}}}, time.Unix(0, 0))
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "Retrying") {
			t.Errorf("%q: %v", word, err)
		}
	}
}
