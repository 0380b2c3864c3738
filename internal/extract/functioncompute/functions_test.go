package functioncompute

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"archiver/internal/archive"
)

// A functionsDouble lists functions. Its tokens are offsets.
type functionsDouble struct {
	total, most int
	end         func(limit int) int         // where a list of such pages ends
	status      func(offset, limit int) int // of an answer; 0 for 200
	token       func(next int) string

	asked []string // offset and limit
}

func (d *functionsDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	offset, limit := 0, number(r, "limit")
	if token := r.URL.Query().Get("nextToken"); token != "" {
		offset, _ = strconv.Atoi(token)
	}
	d.asked = append(d.asked, fmt.Sprint(offset, "+", limit))
	if d.status != nil && d.status(offset, limit) != 0 {
		w.WriteHeader(d.status(offset, limit))
		fmt.Fprint(w, `{"ErrorCode":"InvalidArgument","ErrorMessage":"no"}`)
		return
	}
	total := d.total
	if d.end != nil {
		total = min(total, d.end(limit))
	}
	list := []string{}
	next := min(offset+min(limit, d.most), total)
	for i := offset; i < next; i++ {
		list = append(list, fmt.Sprintf(`{"serviceName":"s","functionName":"f%d","qualifier":"LATEST"}`, i))
	}
	token := ""
	if next < total {
		token = strconv.Itoa(next)
	}
	if d.token != nil {
		token = d.token(next)
	}
	fmt.Fprintf(w, `{"data":[%s],"nextToken":%q}`, strings.Join(list, ","), token)
}

// A list is whole, or says that it is not, after all functions that came.
func TestFunctionsWhole(t *testing.T) {
	t.Parallel()
	fails := func(from, status int) func(int, int) int {
		return func(offset, _ int) int {
			if offset >= from {
				return status
			}
			return 0
		}
	}
	for name, test := range map[string]struct {
		double functionsDouble
		listed int
		whole  bool
		calls  int
	}{
		"less than a page":      {functionsDouble{total: 99, most: 100}, 99, true, 1},
		"short pages":           {functionsDouble{total: 50, most: 10}, 50, true, 5},
		"full pages":            {functionsDouble{total: 200, most: 100}, 200, true, 5},
		"cut off once":          {functionsDouble{total: 250, most: 100, end: func(limit int) int { return map[bool]int{true: 100, false: 250}[limit == 100] }}, 250, true, 4},
		"another length always": {functionsDouble{total: 250, most: 100, end: func(limit int) int { return map[int]int{100: 100, 99: 198, 98: 245}[limit] }}, 245, true, 6},
		"more and more":         {functionsDouble{total: 990, most: 100, end: func(limit int) int { return map[int]int{100: 100, 99: 198, 98: 294}[limit] }}, 294, false, 6},
		"a page fails":          {functionsDouble{total: 250, most: 100, status: fails(100, 500)}, 100, false, 12},
		"tokens run out":        {functionsDouble{total: 250, most: 100, status: fails(98, 400)}, 100, false, 6},
		"a page is too large": {
			functionsDouble{total: 31, most: 100, status: func(_, limit int) int { return map[bool]int{true: 500}[limit > 50] }}, 31, true, 12,
		},
		"a page is refused": {
			functionsDouble{total: 31, most: 100, status: func(_, limit int) int { return map[bool]int{true: 413}[limit > 50] }}, 31, true, 6,
		},
		"the same token": {functionsDouble{total: 250, most: 100, token: func(int) string { return "100" }}, 200, false, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &test.double
			all, err := functions(t.Context(), open(t, d))
			var notWhole *archive.ListError
			if (err == nil) != test.whole || err != nil && !errors.As(err, &notWhole) {
				t.Fatal(err)
			}
			if notWhole != nil && (notWhole.Listed != test.listed || notWhole.Counted != -1) {
				t.Errorf("got %v", notWhole)
			}
			if len(all) != test.listed || len(d.asked) != test.calls {
				t.Errorf("%d functions by %q, want %d by %d calls", len(all), d.asked, test.listed, test.calls)
			}
		})
	}
}

// The cheapest call asks for one function.
func TestPing(t *testing.T) {
	t.Parallel()
	d := &functionsDouble{total: 250, most: 100}
	if err := open(t, d).Ping(t.Context()); err != nil || len(d.asked) != 1 || d.asked[0] != "0+1" {
		t.Errorf("%q, %v", d.asked, err)
	}
	err := open(t, answerWith(http.StatusOK, `{"Code":"AccessDenied","Message":"no","data":[]}`)).Ping(t.Context())
	if !errors.Is(err, archive.ErrDenied) || !strings.Contains(err.Error(), "fc:ListStatefulAsyncInvocationFunctions") {
		t.Error(err)
	}
}
