package functiongraph

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Pages that are large come in their turn, and each is released before the next one is
// asked for, however many are asked for early: a large page that came early and waited
// would keep the page before it from being read.
func TestLargePages(t *testing.T) {
	t.Parallel()
	const total, pageSize = 12, 2
	message := strings.Repeat("x", 3<<20)
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("marker"))
		fmt.Fprintf(w, `{"count":%d,"invocations":[`, total)
		for i := offset; i < min(total, offset+pageSize); i++ {
			if i > offset {
				fmt.Fprint(w, ",")
			}
			text := message
			if offset == 0 {
				text = "" // from the first page on, others are asked for early
			}
			fmt.Fprintf(w, `{"request_id":"%d","error_message":%q}`, i, text)
		}
		fmt.Fprint(w, "]}")
	}), func(o *Options) { o.PageSize = pageSize })
	q := hour
	ahead, taken := allowEarly(3)
	q.Ahead = ahead
	n := 0
	for page, err := range s.Pages(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		taken(page)
		for _, inv := range page.Invocations {
			if inv.RequestID != strconv.Itoa(n) {
				t.Errorf("record %s comes as number %d", inv.RequestID, n)
			}
			n++
		}
		if large := page.Free != nil; large != (n > pageSize) {
			t.Errorf("the page up to record %d is large: %t", n, large)
		}
		if n == total/2 {
			page.Release() // at once, as the loop does
		}
	}
	if n != total {
		t.Errorf("%d records", n)
	}
	// A sequence that is left keeps its page until the caller releases it. Were it kept
	// here, the next sequence would never end.
	for range 3 {
		for page, err := range s.Pages(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			if page.Free != nil {
				page.Release()
				break
			}
		}
	}
}
