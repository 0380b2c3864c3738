package functiongraph

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// Forms of the list of versions, and what is read of each.
func TestVersions(t *testing.T) {
	t.Parallel()
	base := strings.TrimSuffix(testURN, "latest")
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`{"version":"v%d"}`, i)
	}
	for name, test := range map[string]struct {
		status int
		body   string
		want   []string
		err    string // part of the error
		none   bool   // the service does not have this list
	}{
		"only the latest": {body: `{"versions":[{"version":"latest"}],"count":1}`},
		"null":            {body: `{"versions":null,"count":0}`},
		"of the page":     {body: `{"versions":[{"func_urn":"` + base + `latest","version":"latest"},{"func_urn":"` + base + `v1","version":"v1"}],"count":2,"next_marker":2}`, want: []string{"v1"}},
		"by the URN":      {body: `{"versions":[{"func_urn":"` + base + `v1"}]}`, want: []string{"v1"}},
		"twice":           {body: `{"versions":[{"version":"v1"},{"version":"v1"}],"count":2}`, want: []string{"v1"}, err: "count is 2, its list has 1"},
		"a number":        {body: `{"versions":[{"version":3},{"version":"0"}]}`, want: []string{"3", "0"}},
		"no name":         {body: `{"versions":[{"version":"v1"},{}],"count":2}`, want: []string{"v1"}, err: "the names of 1 of them"},
		"odd names":       {body: `{"versions":[{"version":"a b"},{"version":"a\n"},{"version":"a%b"},{"version":"a/b"},{"version":"é.1_2-3"}]}`, want: []string{"é.1_2-3"}, err: "the names of 4 of them"},
		"cut short":       {body: `{"versions":[` + strings.Join(many, ",") + `],"count":250}`, want: nil, err: "count is 250, its list has 100"},
		"another answer":  {body: `{"hello":"x"}`, none: true},
		"an error":        {body: `{"error_code":"FSS.0500","versions":[],"count":0}`, err: "FSS.0500"},
		"no such path":    {status: 404, body: `{"error_code":"APIG.0101"}`, none: true},
		"not implemented": {status: 501, body: ``, none: true},
		"denied":          {status: 403, body: `{"error_code":"FSS.0403"}`, err: "--versions latest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/versions") {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.WriteHeader(max(test.status, http.StatusOK))
				fmt.Fprint(w, test.body)
			}))
			versions, err := s.Versions(t.Context(), archive.Function{URN: testURN, Name: "a"})
			var got []string
			for _, v := range versions {
				got = append(got, strings.TrimPrefix(v.URN, base))
			}
			if name == "cut short" && len(got) == 100 {
				got = nil // the pages before the error count too
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if errors.Is(err, archive.ErrNoVersions) != test.none || (err != nil) != (test.none || test.err != "") ||
				err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Forms of the list of aliases, and what is read of each.
func TestAliases(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`[]`:   "[]",
		`null`: "[]",
		`[{"name":"live","version":"v1","description":"d","additional_version_weights":{"v2":10}}]`: `[{live v1 d {"v2":10}}]`,
		`[{"name":"live","version":1},{"name":"x"},{"version":"v1"},7,null]`:                        "[]",
		`{"aliases":[]}`:                      "none",
		`[{"name":"live","version":"v1"}] []`: "error",
		`[{"name":"live",`:                    "error",
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			s := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
			aliases, err := s.Aliases(t.Context(), archive.Function{URN: testURN, Name: "a"})
			got := "["
			for _, a := range aliases {
				got += fmt.Sprintf("{%s %s %s %s}", a.Name, a.Version, a.Description, a.Additional)
			}
			got += "]"
			switch {
			case errors.Is(err, archive.ErrNoVersions):
				got = "none"
			case err != nil:
				got = "error"
			}
			if got != want {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		})
	}
}
