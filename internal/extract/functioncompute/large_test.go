package functioncompute

import (
	"fmt"
	"strings"
	"testing"
)

// Each large page is released before the next one is asked for.
func TestLargePages(t *testing.T) {
	t.Parallel()
	bodies := make(map[string]string)
	const total = 5
	for i := range total {
		token, next := "", ""
		if i > 0 {
			token = fmt.Sprint("page-", i)
		}
		if i < total-1 {
			next = fmt.Sprint("page-", i+1)
		}
		bodies[token] = fmt.Sprintf(`{"nextToken":%q,"invocations":[{"requestId":"%d","status":"Failed","invocationErrorMessage":%q}]}`, next, i, strings.Repeat("x", 5<<20))
	}
	s := open(t, pages(bodies))
	n := 0
	for page, err := range s.Pages(t.Context(), hour) {
		if err != nil {
			t.Fatal(err)
		}
		if n += len(page.Invocations); page.Free == nil {
			t.Error("the page is not large")
		}
	}
	if n != total {
		t.Errorf("%d records", n)
	}
}
