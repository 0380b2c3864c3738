package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/conformance"
	"archiver/internal/extract"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// defectEnv makes the source of these tests defective.
const defectEnv = "CONFORMANCE_TEST_DEFECT"

// defects are what a source may do wrong, with the part of the suite that has
// to see it.
var defects = map[string]string{
	"a short page ends the list":       "paging",
	"the list is asked for in its own": "paging/question",
	"a page is forgotten":              "cursors",
	"the cursor is that of the page":   "cursors",
	"the list never ends":              "endless",
	"functions have one page":          "functions",
	"times are local":                  "records",
	"unusable is dropped":              "unusable",
	"an error is an end":               "faults",
	"the caller is passed by":          "stats",
	"refused is an error like others":  "denied",
	"the refusal is shown":             "denied",
	"any 404 is gone":                  "gone",
	"the context is not heeded":        "cancelling",
	"only the first page is kept":      "loop/drift",
	"the last second is left out":      "loop/borders",
}

// A source that keeps to the rules passes.
func TestSource(t *testing.T) {
	defect := os.Getenv(defectEnv)
	conformance.Test(t, conformance.Suite{
		Provider: "test", PageSize: pageSize, FunctionPage: 100,
		Function: func(n int) archive.Function {
			return archive.Function{URN: fmt.Sprintf("test:f%d", n), Name: fmt.Sprintf("f%d", n)}
		},
		Open: func(_ *testing.T, url string, caller *extract.Caller) archive.Source {
			return &source{url: url, caller: caller, defect: defect}
		},
		Ways:      []conformance.Way{{Name: "plain", Handler: handler, ShortPages: true}},
		Denied:    []conformance.Refusal{{Status: 403, Body: `{"code":"Denied","message":%q}`}},
		Gone:      conformance.Refusal{Status: 404, Body: `{"code":"NoFunction","message":%q}`},
		Elsewhere: []conformance.Refusal{{Status: 404, Body: `{"code":"NoPath","message":%q}`}},
		Secrets:   []string{secret}, Unusable: []string{`{}`, `7`},
	})
}

// A source that does not, fails where it should: each in a process of its own.
func TestDefects(t *testing.T) {
	t.Parallel()
	for defect, part := range defects {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			pattern := "^TestSource$/^" + strings.ReplaceAll(part, "/", "$/^") + "$"
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.timeout=2m")
			c.Env = append(os.Environ(), defectEnv+"="+defect)
			out, err := c.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestSource/"+strings.Split(part, "/")[0]) {
				t.Errorf("%s was not seen: %v\n%s", defect, err, out)
			}
		})
	}
}

const (
	pageSize = 4
	secret   = "a-secret-of-the-test"
)

// A source is a small one of a cloud that is no other's.
type source struct {
	url, defect string
	caller      *extract.Caller
}

func (s *source) ID() archive.SourceID       { return archive.SourceID{Provider: "test"} }
func (s *source) Stats() archive.SourceStats { return s.caller.Stats() }

// An element of a page of records, and the page.
type (
	element struct {
		ID, Status, Message string
		Start, End          time.Time
	}
	page struct {
		Records []json.RawMessage
		Names   []string
		Next    *int
		More    *bool
	}
)

// get asks for a page of a list.
func (s *source) get(ctx context.Context, path string, q url.Values) (p page, err error) {
	call := func(transport http.RoundTripper) error {
		callCtx := ctx
		if s.defect == "the context is not heeded" {
			callCtx = context.Background()
		}
		req, err := http.NewRequestWithContext(callCtx, http.MethodGet, s.url+path+"?"+q.Encode(), nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", secret)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		p = page{}
		if err := json.Unmarshal(body, &p); err != nil {
			return err
		}
		if p.Next == nil || p.More == nil {
			return errors.New("not a page")
		}
		return nil
	}
	if s.defect == "the context is not heeded" {
		err = s.caller.Do(context.WithoutCancel(ctx), call)
	} else {
		err = s.caller.Do(ctx, call)
	}
	if s.defect == "the caller is passed by" && err == nil {
		err = call(http.DefaultTransport)
	}
	var status *extract.StatusError
	switch {
	case !errors.As(err, &status):
	case status.Status == http.StatusForbidden && s.defect == "the refusal is shown":
		return p, fmt.Errorf("%w: %w with %s", archive.ErrDenied, err, secret)
	case status.Status == http.StatusForbidden && s.defect != "refused is an error like others":
		return p, fmt.Errorf("%w: %w", archive.ErrDenied, err)
	}
	return p, err
}

func (s *source) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		for offset := 0; ; {
			p, err := s.get(ctx, "/functions", url.Values{"offset": {fmt.Sprint(offset)}})
			var functions []archive.Function
			for _, name := range p.Names {
				functions = append(functions, archive.Function{URN: "test:" + name, Name: name})
			}
			if !yield(functions, err) || err != nil || !*p.More || s.defect == "functions have one page" {
				return
			}
			offset = *p.Next
		}
	}
}

func (s *source) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		limit := pageSize
		if q.Limit > 0 {
			limit = min(q.Limit, limit)
		}
		offset, _ := strconv.Atoi(string(q.Cursor))
		from, to := q.From.UTC(), q.To.UTC()
		switch s.defect {
		case "the list is asked for in its own":
			from = from.Add(-time.Hour)
		case "the last second is left out":
			from, to = from.Add(2*time.Second), to.Add(-2*time.Second)
		}
		for last := ""; ; {
			p, err := s.get(ctx, "/records/"+q.Function.URN, url.Values{
				"offset": {fmt.Sprint(offset)}, "limit": {fmt.Sprint(limit)}, "id": {q.RequestID},
				"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)},
			})
			if err == nil && len(p.Records) > 0 && fmt.Sprint(p.Records) == last && s.defect != "the list never ends" {
				err = errors.New("the same page again")
			}
			last = fmt.Sprint(p.Records)
			if err != nil {
				if s.defect != "an error is an end" {
					yield(archive.Page{}, s.gone(err))
				}
				return
			}
			out := s.page(p)
			out.Last = !*p.More || s.defect == "a short page ends the list" && len(p.Records) < limit ||
				s.defect == "only the first page is kept"
			out.Next = archive.Cursor(fmt.Sprint(*p.Next))
			switch s.defect {
			case "the cursor is that of the page":
				out.Next = archive.Cursor(fmt.Sprint(offset))
			case "a page is forgotten":
				out.Next = archive.Cursor(fmt.Sprint(*p.Next + limit))
			}
			if !yield(out, nil) || out.Last {
				return
			}
			offset = *p.Next
		}
	}
}

func (s *source) gone(err error) error {
	var status *extract.StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound && (status.Code == "NoFunction" || s.defect == "any 404 is gone") {
		return fmt.Errorf("%w: %w", archive.ErrGone, err)
	}
	return err
}

func (s *source) page(p page) archive.Page {
	out := archive.Page{Count: -1}
	for _, raw := range p.Records {
		var e element
		if err := json.Unmarshal(raw, &e); err != nil || e.ID == "" {
			if s.defect != "unusable is dropped" {
				out.Rejected = append(out.Rejected, archive.Rejected{Reason: "no id", Payload: raw})
			}
			continue
		}
		if s.defect == "times are local" {
			e.Start = e.Start.In(time.FixedZone("", 3600))
		}
		out.Invocations = append(out.Invocations, archive.Invocation{
			RequestID: e.ID, Status: e.Status, ErrorMessage: e.Message, Start: e.Start, End: e.End,
		})
	}
	return out
}

// handler is the cloud's side.
func handler(of *conformance.Cloud) http.Handler {
	number := func(r *http.Request, name string) int {
		n, _ := strconv.Atoi(r.URL.Query().Get(name))
		return n
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /functions", func(w http.ResponseWriter, r *http.Request) {
		list, next, total := of.Functions(number(r, "offset"), 100)
		more := next < total
		p := page{Next: &next, More: &more}
		for _, f := range list {
			p.Names = append(p.Names, f.Name)
		}
		_ = json.NewEncoder(w).Encode(p)
	})
	mux.HandleFunc("GET /records/{urn}", func(w http.ResponseWriter, r *http.Request) {
		from, _ := time.Parse(time.RFC3339, r.URL.Query().Get("from"))
		to, _ := time.Parse(time.RFC3339, r.URL.Query().Get("to"))
		a := of.List(conformance.Question{
			Function: r.PathValue("urn"), From: from, To: to, RequestID: r.URL.Query().Get("id"),
			Offset: number(r, "offset"), Limit: number(r, "limit"),
		})
		p := page{Next: &a.Next, More: &a.More}
		for _, record := range a.Records {
			raw := []byte(record.Raw)
			if record.Raw == "" {
				raw, _ = json.Marshal(element{record.ID, record.Status, record.Message, record.Start, record.End})
			}
			p.Records = append(p.Records, raw)
		}
		_ = json.NewEncoder(w).Encode(p)
	})
	return mux
}
