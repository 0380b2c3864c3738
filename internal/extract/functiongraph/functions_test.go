package functiongraph

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"archiver/internal/archive"
)

// Deleting or creating functions moves the offsets of the others. Each function
// is still listed once, and none is missed.
func TestFunctionsDrift(t *testing.T) {
	t.Parallel()
	for name, shift := range map[string]int{"one deleted": 1, "one made": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				marker, _ := strconv.Atoi(r.URL.Query().Get("marker"))
				if calls.Add(1) == 2 {
					marker += shift
				}
				var list []string
				for i := marker; i < min(900, marker+maxFunctions); i++ {
					list = append(list, fmt.Sprintf(`{"func_urn":"urn:%d"}`, i))
				}
				fmt.Fprintf(w, `{"functions":[%s],"count":900,"next_marker":%d}`, strings.Join(list, ","), marker+len(list))
			}))
			all, err := functions(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			distinct := make(map[string]bool)
			for _, f := range all {
				distinct[f.URN] = true
			}
			if len(distinct) != 900 || len(all) != 900 {
				t.Errorf("%d functions, %d distinct", len(all), len(distinct))
			}
		})
	}
}

// A functionsDouble lists functions. An answer has at most most of them, and a count.
type functionsDouble struct {
	total, most int
	count       func(listed int) int        // negative for none
	fails       func(marker, limit int) int // the status; 0 for none

	asked []string // marker and limit
}

func (d *functionsDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	marker, limit := number(r, "marker"), number(r, "maxitems")
	d.asked = append(d.asked, fmt.Sprint(marker, "+", limit))
	if d.fails != nil && d.fails(marker, limit) != 0 {
		w.WriteHeader(d.fails(marker, limit))
		fmt.Fprint(w, `{"error_code":"FSS.0500","error_msg":"no"}`)
		return
	}
	list := []string{}
	for i := marker; i < min(marker+min(limit, d.most), d.total); i++ {
		list = append(list, fmt.Sprintf(`{"func_urn":"urn:%d"}`, i))
	}
	count := ""
	if d.count != nil {
		count = `,"count":` + strconv.Itoa(d.count(len(list)))
	}
	fmt.Fprint(w, `{"functions":[`+strings.Join(list, ",")+`]`+count+`}`)
}

// A list is whole, or says that it is not, after all functions that came.
func TestFunctionsWhole(t *testing.T) {
	t.Parallel()
	always := func(n int) func(int) int { return func(int) int { return n } }
	own := func(listed int) int { return listed }
	beyond := func(offset, status int) func(int, int) int {
		return func(marker, _ int) int {
			if marker >= offset {
				return status
			}
			return 0
		}
	}
	covers := func(poisoned int) func(int, int) int {
		return func(marker, limit int) int {
			if marker <= poisoned && poisoned < marker+limit {
				return 500
			}
			return 0
		}
	}
	for name, test := range map[string]struct {
		double functionsDouble
		listed int
		fails  *archive.ListError // without Err
		asked  []string
	}{
		"less than a page":              {functionsDouble{total: 7, most: 400, count: always(7)}, 7, nil, []string{"0+400"}},
		"counts 30, lists 10":           {functionsDouble{total: 10, most: 10, count: always(30)}, 10, &archive.ListError{Listed: 10, Counted: 30}, nil},
		"pages of 10, counted":          {functionsDouble{total: 30, most: 10, count: always(30)}, 30, nil, []string{"0+400", "10+400", "20+400", "30+400"}},
		"pages of 10, counts the page":  {functionsDouble{total: 34, most: 10, count: own}, 34, nil, []string{"0+400", "10+400", "20+400", "30+400"}},
		"pages of 10, not counted":      {functionsDouble{total: 34, most: 10}, 34, nil, nil},
		"a round list":                  {functionsDouble{total: 20, most: 400, count: own}, 20, nil, []string{"0+400", "20+400"}},
		"beyond a round list, an error": {functionsDouble{total: 20, most: 400, count: own, fails: beyond(20, 400)}, 20, nil, []string{"0+400", "20+400"}},
		"counts off at 400":             {functionsDouble{total: 900, most: 400, count: func(int) int { return 800 }}, 900, nil, nil},
		"next page fails, not counted":  {functionsDouble{total: 900, most: 400, fails: beyond(400, 500)}, 400, &archive.ListError{Listed: 400, Counted: -1}, nil},
		"next page is refused, counted": {functionsDouble{total: 900, most: 400, count: always(900), fails: beyond(400, 400)}, 400, &archive.ListError{Listed: 400, Counted: 900}, nil},
		"a page of 400 is too large":    {functionsDouble{total: 130, most: 400, count: always(130), fails: func(_, limit int) int { return map[bool]int{true: 500}[limit > 50] }}, 130, nil, nil},
		"such a function in a round list, not counted": {functionsDouble{total: 20, most: 400, fails: func(marker, limit int) int {
			if marker == 20 {
				return 400
			}
			return covers(7)(marker, limit)
		}}, 19, &archive.ListError{Listed: 19, Counted: -1}, nil},
		"a function that fails any page": {functionsDouble{total: 900, most: 400, count: always(900), fails: covers(500)}, 899, &archive.ListError{Listed: 899, Counted: 900}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &test.double
			all, err := functions(t.Context(), open(t, d))
			var notWhole *archive.ListError
			if (err != nil) != (test.fails != nil) || err != nil && !errors.As(err, &notWhole) {
				t.Fatal(err)
			}
			if notWhole != nil && (notWhole.Listed != test.fails.Listed || notWhole.Counted != test.fails.Counted) {
				t.Errorf("got %v, want %v", notWhole, test.fails)
			}
			if len(all) != test.listed {
				t.Errorf("%d functions, want %d", len(all), test.listed)
			}
			if test.asked != nil && !slices.Equal(d.asked, test.asked) {
				t.Errorf("asked for %q, want %q", d.asked, test.asked)
			}
			if len(d.asked) > 35 {
				t.Errorf("%d calls", len(d.asked))
			}
		})
	}
}

// A list that never reaches its count is not whole, and neither is one without an end.
func TestFunctionsNotWhole(t *testing.T) {
	t.Parallel()
	var page []string
	for i := range maxFunctions {
		page = append(page, fmt.Sprintf(`{"func_urn":"urn:%d"}`, i))
	}
	for name, test := range map[string]struct {
		body   string
		listed int
		want   archive.ListError
		calls  int64
	}{
		"counted too high":  {`{"functions":[{"func_urn":"urn:a"},{"func_name":"nameless"}],"count":5,"next_marker":2}`, 1, archive.ListError{Listed: 3, Counted: 5}, 6},
		"the same page":     {`{"functions":[` + strings.Join(page, ",") + `]}`, maxFunctions, archive.ListError{Listed: maxFunctions, Counted: -1}, 6},
		"counted, no list":  {`{"functions":[],"count":30}`, 0, archive.ListError{Listed: 0, Counted: 30}, 3},
		"counted, null":     {`{"functions":null,"count":"30"}`, 0, archive.ListError{Listed: 0, Counted: 30}, 3},
		"counted, no names": {`{"count":2}`, 0, archive.ListError{Listed: 0, Counted: 2}, 3},
	} {
		s := open(t, answerWith(200, test.body))
		all, err := functions(t.Context(), s)
		var got *archive.ListError
		if !errors.As(err, &got) || got.Listed != test.want.Listed || got.Counted != test.want.Counted || len(all) != test.listed {
			t.Errorf("%s: %d functions, %v", name, len(all), err)
		}
		if s.Stats().Calls != test.calls {
			t.Errorf("%s: %d calls", name, s.Stats().Calls)
		}
	}
}
