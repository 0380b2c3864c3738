package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/answer"
)

const (
	pageSize      = 4
	functionsPage = 30
	secret        = "a-secret-of-the-test"
	signature     = "a-signature-of-the-test"
)

// A source reads an invented cloud. The bodies of its calls hold all parameters.
type source struct {
	url    string
	caller *extract.Caller
	defective

	one sync.Mutex   // held by the one call there may be
	ids atomic.Int64 // how often its ID was asked for
	got atomic.Int64 // answers

	calls, refused atomic.Int64 // through other callers than its own
}

func (s *source) ID() archive.SourceID {
	id := archive.SourceID{Provider: "test"}
	if s.has("the name is another's") {
		id.Provider = "other"
	}
	if s.has("the identity changes") {
		id.Region = fmt.Sprint(s.ids.Add(1))
	}
	return id
}

func (s *source) Stats() archive.SourceStats {
	stats := s.caller.Stats()
	if s.has("refusals are not counted") {
		stats.Refused = 0
	}
	stats.Calls, stats.Refused = stats.Calls+s.calls.Load(), stats.Refused+s.refused.Load()
	if s.has("only answers are counted") {
		stats.Calls = s.got.Load()
	}
	return stats
}

// A request, an answer, and an element of the list of records.
type (
	question struct {
		URN, ID       string
		From, To      time.Time
		Offset, Limit int
		Signature     string // by one that should not sign there
	}
	page struct {
		Records []json.RawMessage
		Names   []string
		Next    *int
		More    *bool
		Total   *int
	}
	element struct {
		ID, Status, Message string
		Start, End          time.Time
	}
)

// get requests a page of a list.
func (s *source) get(ctx context.Context, path string, q question) (p page, err error) {
	if s.has("the context is not heeded") {
		ctx = context.WithoutCancel(ctx)
	}
	call := func(transport http.RoundTripper) error {
		if s.has("calls are one at a time") {
			s.one.Lock()
			defer s.one.Unlock()
		}
		p, err = s.send(ctx, transport, path, q)
		for try := 0; try < 1000 && throttled(err) && s.has("429 is tried again at once"); try++ {
			p, err = s.send(ctx, transport, path, q)
		}
		return err
	}
	if s.has("the caller is passed by") {
		_ = call(http.DefaultTransport)
	}
	switch {
	case s.has("nothing is tried again"):
		_ = s.caller.Do(ctx, func(transport http.RoundTripper) error { _ = call(transport); return nil })
	case s.has("calls wait for nobody"):
		err = call(http.DefaultTransport)
	case s.has("refusals are forgotten at once"):
		another := extract.NewCaller(extract.Options{Clock: s.caller.Clock(), Patience: time.Hour, Transport: http.DefaultTransport})
		err = another.Do(ctx, call)
		s.calls.Add(another.Stats().Calls)
		s.refused.Add(another.Stats().Refused)
	case s.has("a refusal is never forgotten") && s.caller.Stats().Refused > 0:
		if err = s.caller.Clock().Sleep(ctx, time.Second); err == nil {
			err = s.caller.Do(ctx, call)
		}
	default:
		err = s.caller.Do(ctx, call)
	}
	for try := 0; try < 10 && err != nil && s.has("tried for ever"); try++ {
		err = s.caller.Do(ctx, call)
	}
	if err == nil {
		s.got.Add(1)
		return p, nil
	}
	return p, s.explained(ctx, err)
}

func throttled(err error) bool {
	var status *extract.StatusError
	return errors.As(err, &status) && status.Throttled()
}

// send makes one call.
func (s *source) send(ctx context.Context, transport http.RoundTripper, path string, q question) (p page, err error) {
	url := s.url + path
	if s.has("it signs in the URL") {
		url += "?signature=" + signature
	}
	if s.has("it signs in the body") {
		q.Signature = signature
	}
	body, err := json.Marshal(q)
	if err != nil {
		return p, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return p, err
	}
	req.Header.Set("Authorization", secret)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	whole, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(whole, &p)
	}
	if err == nil && !s.has("an envelope is ignored") {
		err = answer.ReadObject(bytes.NewReader(whole), func(_ string, r *answer.Reader) error { return r.SkipValue() })
	}
	if s.has("any code is an error") && bytes.Contains(whole, []byte("ode\":")) {
		err = &answer.EnvelopeError{Code: "Failed"}
	}
	if err == nil && (p.Next == nil || p.More == nil) {
		err = errors.New("not a page")
	}
	if err != nil && s.has("any answer is a page") {
		return page{Next: new(int), More: new(bool)}, nil
	}
	return p, err
}

// explained wraps an answer's error in the error of package archive that it means.
func (s *source) explained(ctx context.Context, err error) error {
	var status *extract.StatusError
	switch {
	case context.Cause(ctx) != nil && s.has("the cause is not told"):
		return ctx.Err()
	case s.has("errors have lines"):
		return fmt.Errorf("it went wrong:\n%w", err)
	case !errors.As(err, &status):
	case status.Status == http.StatusForbidden && s.has("the refusal is shown"):
		return fmt.Errorf("%w: %w with %s", archive.ErrDenied, err, secret)
	case status.Status == http.StatusForbidden && !s.has("refused is an error like others"):
		return fmt.Errorf("%w: %w", archive.ErrDenied, err)
	}
	return err
}

// gone wraps an error in ErrGone if the cloud does not know the function.
func (s *source) gone(err error) error {
	var status *extract.StatusError
	switch {
	case s.has("trouble is gone"):
	case !errors.As(err, &status) || status.Status != http.StatusNotFound || s.has("gone is an error like others"):
		return err
	case status.Code != "FunctionNotFound" && !s.has("any 404 is gone"):
		return err
	}
	return fmt.Errorf("%w: %w", archive.ErrGone, err)
}

func (s *source) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		for offset, listed := 0, 0; ; {
			p, err := s.get(ctx, "/functions", question{Offset: offset})
			if err != nil && listed > 0 && context.Cause(ctx) == nil && !s.has("an error hides functions") {
				err = &archive.ListError{Listed: listed, Counted: -1, Err: err}
			}
			if err != nil && s.has("functions are gone") {
				err = s.gone(err)
			}
			var functions []archive.Function
			for _, name := range p.Names {
				f := archive.Function{URN: "test:" + name, Name: name}
				if s.has("functions have no names") {
					f.Name = ""
				}
				if functions = append(functions, f); s.has("functions come twice") {
					functions = append(functions, f)
				}
			}
			if !yield(functions, err) || err != nil || s.has("functions have one page") {
				return
			}
			offset, listed = *p.Next, listed+len(functions)
			if !*p.More && p.Total != nil && listed < *p.Total && !s.has("a list of functions is whole") {
				yield(nil, &archive.ListError{Listed: listed, Counted: *p.Total})
			}
			if !*p.More {
				return
			}
		}
	}
}

// page returns the page of an answer.
func (s *source) page(p page, buffer []archive.Invocation) archive.Page {
	out := archive.Page{Count: -1, Invocations: buffer}
	if p.Total != nil {
		out.Count = *p.Total
	}
	if s.has("the count is the page's") {
		out.Count = len(p.Records)
	}
	for _, raw := range p.Records {
		var e element
		if err := json.Unmarshal(raw, &e); err != nil || e.ID == "" {
			rejected := archive.Rejected{Reason: "no id", Payload: raw}
			if s.has("unusable has no reason") {
				rejected.Reason = ""
			}
			if s.has("unusable is not kept as it came") {
				rejected.Payload = []byte(`"` + strings.Repeat("?", len(raw)) + `"`)
			}
			if !s.has("unusable is dropped") {
				out.Rejected = append(out.Rejected, rejected)
			}
			continue
		}
		if s.has("times are local") {
			e.Start = e.Start.In(time.FixedZone("", 3600))
		}
		if s.has("the message is dropped") {
			e.Message = ""
		}
		if s.has("all have an end") && e.End.IsZero() {
			e.End = e.Start
		}
		var extra []byte
		if e.Start.Equal(time.Unix(0, 0)) && !s.has("the epoch is a time") {
			e.Start, extra = time.Time{}, raw
		}
		out.Invocations = append(out.Invocations, archive.Invocation{
			RequestID: e.ID, Status: e.Status, ErrorMessage: e.Message, Start: e.Start, End: e.End, Extra: extra,
		})
	}
	return out
}

// cursor returns the cursor after an answer, and parse the offset that a cursor names.
func (s *source) cursor(offset, limit int, p page) archive.Cursor {
	switch {
	case s.has("the cursor is that of the page"):
		return archive.Cursor(fmt.Sprint(offset))
	case s.has("a page is forgotten"):
		return archive.Cursor(fmt.Sprint(*p.Next + limit))
	case s.has("cursors are known to one process"):
		return archive.Cursor(fmt.Sprintf("%p %d", s, *p.Next))
	}
	return archive.Cursor(fmt.Sprint(*p.Next))
}

// CursorAt returns the cursor at an offset.
func (s *source) CursorAt(offset int) archive.Cursor {
	if s.has("offsets begin at one") {
		offset++
	}
	return archive.Cursor(fmt.Sprint(offset))
}

func (s *source) parse(c archive.Cursor) int {
	text := strings.TrimPrefix(string(c), fmt.Sprintf("%p ", s))
	offset, _ := strconv.Atoi(text)
	return offset
}
