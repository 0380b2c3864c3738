package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"archiver/internal/archive"
)

// Pages asks for pages one after the other. It asks for some before their turn if the
// count says that they exist.
func (s *source) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		if s.has("a goroutine is left") {
			go func() { select {} }()
		}
		asked := question{URN: q.Function.URN, ID: q.RequestID, From: q.From.UTC(), To: q.To.UTC(), Offset: s.parse(q.Cursor), Limit: pageSize}
		if q.Limit > 0 && !s.has("the limit is not kept to") {
			asked.Limit = min(q.Limit, pageSize)
		}
		s.wrong(&asked)
		a := &ahead{source: s, may: q.Ahead}
		defer a.drop()
		var buffer []archive.Invocation
		for last := ""; ; {
			p, err := a.get(ctx, asked)
			again := err == nil && len(p.Records) > 0 && fmt.Sprint(p.Records) == last && !s.has("the list never ends")
			if again && !s.has("an endless list is all") {
				err = errors.New("the same page again")
			}
			last = fmt.Sprint(p.Records)
			if err != nil {
				if !s.has("an error is an end") {
					yield(archive.Page{}, s.gone(err))
				}
				return
			}
			out := s.page(p, buffer[:0])
			if s.has("pages share their memory") {
				buffer = out.Invocations
			}
			out.Last = !*p.More || again || s.has("only the first page is kept") ||
				s.has("a short page ends the list") && len(p.Records) < asked.Limit
			out.Next = s.cursor(asked.Offset, asked.Limit, p)
			asked.Offset = *p.Next
			if !out.Last {
				a.more(ctx, asked, len(p.Records), out.Count)
				out.Ahead = len(a.asked)
			}
			if out.Last && s.has("the end is asked for again") {
				_, _ = s.get(ctx, "/records", asked)
				_, _ = s.get(ctx, "/records", asked)
			}
			if !yield(out, nil) || out.Last && !s.has("a page follows the last one") {
				return
			}
		}
	}
}

// wrong changes the query as the defects say.
func (s *source) wrong(asked *question) {
	if s.has("the range is another") {
		asked.From = asked.From.Add(-time.Hour)
	}
	if s.has("the id is not asked for") {
		asked.ID = ""
	}
	if s.has("the first second is left out") {
		asked.From = asked.From.Add(2 * time.Second)
	}
	if s.has("the last second is left out") {
		asked.To = asked.To.Add(-2 * time.Second)
	}
}

// An ahead holds the pages of a query that were asked for before their turn.
type ahead struct {
	source *source
	may    func() bool
	asked  []*asking // in order
}

// An asking is a call for a page under way.
type asking struct {
	question
	cancel context.CancelFunc
	done   chan struct{} // closed once page and err are there
	page   page
	err    error
}

// get returns the next page.
func (a *ahead) get(ctx context.Context, q question) (page, error) {
	if len(a.asked) > 0 && a.source.has("a page ahead is lost") {
		a.asked[0].cancel()
		<-a.asked[0].done
		a.asked = a.asked[1:]
	}
	if len(a.asked) > 0 && (a.asked[0].Offset == q.Offset || a.source.has("a page ahead is lost")) {
		next := a.asked[0]
		a.asked = a.asked[1:]
		<-next.done
		next.cancel()
		if !a.source.has("pages ahead are asked for again") {
			return next.page, next.err
		}
	}
	a.drop()
	return a.source.get(ctx, "/records", q)
}

// more asks for as many of the next pages as may allows. Pages are step records long.
func (a *ahead) more(ctx context.Context, q question, step, count int) {
	if n := len(a.asked); n > 0 {
		q.Offset = a.asked[n-1].Offset + step
	}
	for step > 0 && a.may != nil && q.Offset < count && (a.may() || a.source.has("pages are ahead that may not be")) {
		ctx, cancel := context.WithCancel(ctx)
		next := &asking{question: q, cancel: cancel, done: make(chan struct{})}
		a.asked = append(a.asked, next)
		go func() {
			defer close(next.done)
			next.page, next.err = a.source.get(ctx, "/records", next.question)
		}()
		q.Offset += step
	}
}

// drop cancels the calls whose pages are not needed.
func (a *ahead) drop() {
	if a.source.has("calls ahead are left") {
		return
	}
	for _, next := range a.asked {
		next.cancel()
	}
	for _, next := range a.asked {
		<-next.done
	}
	a.asked = nil
}
