package functioncompute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"

	fc "github.com/alibabacloud-go/fc-open-20210406/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

const (
	// Provider is this source's name.
	Provider = "functioncompute"

	// maxLimit is the largest page of both lists (page:
	// ListStatefulAsyncInvocations, limit).
	maxLimit = 100

	// What is to be allowed for each call (page: ListStatefulAsyncInvocations,
	// Authorization information; the other follows its pattern).
	permissionFunctions   = "fc:ListStatefulAsyncInvocationFunctions"
	permissionInvocations = "fc:ListStatefulAsyncInvocations"
)

// A Source is one account's functions in one region. It implements
// archive.Source.
type Source struct {
	at         address
	page       int // elements asked for at a time
	payloads   bool
	client     *client
	caller     *extract.Caller
	log        *slog.Logger
	qualifiers qualifiers
}

// New prepares a source. Its errors match extract.ErrOptions where the options
// are to blame and nothing was tried.
func New(o Options, caller *extract.Caller, log *slog.Logger) (*Source, error) {
	at, err := newAddress(o)
	if err != nil {
		return nil, err
	}
	c, err := newClient(o, at, caller)
	if err != nil {
		return nil, err
	}
	page := min(cmp.Or(o.PageSize, maxLimit), maxLimit)
	return &Source{at: at, page: page, payloads: o.IncludePayload, client: c, caller: caller, log: log}, nil
}

// ID names the account and region, as far as they are known.
func (s *Source) ID() archive.SourceID {
	return archive.SourceID{Provider: Provider, Region: s.at.region, ProjectID: s.at.account}
}

// Stats are the calls so far.
func (s *Source) Stats() archive.SourceStats { return s.caller.Stats() }

// Endpoint is where the calls go.
func (s *Source) Endpoint() string { return s.client.base }

// headers are sent with a call. The SDK has a field for the account, of which it
// would send quotes as well.
func (s *Source) headers() map[string]*string {
	if s.at.account == "" {
		return nil
	}
	return map[string]*string{"X-Fc-Account-Id": &s.at.account}
}

// Functions lists the account's functions that keep records, page by page, each
// once (SDK: ListStatefulAsyncInvocationFunctions).
func (s *Source) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		listed, unusable := make(map[string][]string), 0
		for t := newTokens(""); !t.last; {
			list, err := s.functions(ctx, t.token)
			if err == nil {
				err = t.advance(list.next)
			}
			if err != nil {
				if context.Cause(ctx) == nil {
					err = fmt.Errorf("ask %s for its functions: %w", s.client.base, err)
				}
				yield(nil, err)
				return
			}
			unusable += list.unusable
			var page []archive.Function
			for _, f := range list.functions {
				urn := s.at.urn(f.name)
				if _, known := listed[urn]; !known {
					page = append(page, archive.Function{URN: urn, Name: f.String()})
				}
				listed[urn] = append(listed[urn], f.qualifier)
			}
			if !yield(page, nil) {
				return
			}
		}
		s.qualifiers.set(listed)
		if unusable > 0 {
			s.log.Warn("functions without a service or a name are left out", "functions", unusable)
		}
	}
}

func (s *Source) functions(ctx context.Context, token string) (list functionList, err error) {
	limit := int32(maxLimit)
	err = s.client.call(ctx, permissionFunctions, func(sdk *fc.Client) error {
		_, err := sdk.ListStatefulAsyncInvocationFunctionsWithOptions(
			&fc.ListStatefulAsyncInvocationFunctionsRequest{Limit: &limit, NextToken: orNil(token)},
			&fc.ListStatefulAsyncInvocationFunctionsHeaders{CommonHeaders: s.headers()}, new(util.RuntimeOptions))
		return err
	}, func(body io.Reader) (err error) {
		list, err = decodeFunctions(body)
		return err
	})
	return list, err
}

// Pages asks for a function's invocations from the cursor on: those of all of
// its qualifiers, one after the other where it has several, and of all the
// source's words for a status.
func (s *Source) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		of, err := parseURN(q.Function.URN)
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		walk, err := newWalk(lists(q, s.qualifiers.of(q.Function.URN)), q.Cursor)
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		for !walk.last {
			list, err := s.invocations(ctx, of, q, walk)
			if err != nil {
				if walk.token != "" && refused(err) {
					err = fmt.Errorf("%w: %w", archive.ErrCursor, err)
				}
				yield(archive.Page{}, err)
				return
			}
			page := archive.Page{Invocations: list.invocations, Rejected: list.rejected, Count: -1, Lists: len(walk.left)}
			if q.RequestID != "" {
				page = only(q.RequestID, page)
			}
			endless := walk.took(&list)
			if endless == nil {
				endless = walk.advance(list.next)
			}
			if endless == nil {
				page.Next, page.Last = walk.cursor(), walk.last
			}
			if !yield(page, nil) {
				return
			}
			if endless != nil {
				// Without a cursor, the next walk is begun anew.
				yield(archive.Page{}, endless)
				return
			}
		}
	}
}

func (s *Source) invocations(ctx context.Context, of name, q archive.Query, at *walk) (list invocationList, err error) {
	limit := int32(s.page)
	if q.Limit > 0 {
		limit = min(int32(q.Limit), limit)
	}
	begin, end, order := q.From.UnixMilli(), q.To.UnixMilli(), "asc"
	if q.Newest {
		order = "desc"
	}
	req := &fc.ListStatefulAsyncInvocationsRequest{
		Qualifier: orNil(at.qualifier), Status: orNil(at.status), InvocationIdPrefix: orNil(at.prefix),
		NextToken: orNil(at.token), Limit: &limit,
		StartedTimeBegin: &begin, StartedTimeEnd: &end, SortOrderByTime: &order,
	}
	if s.payloads {
		req.IncludePayload = &s.payloads
	}
	records := &recordReader{of: of, payloads: s.payloads}
	err = s.client.call(ctx, permissionInvocations, func(sdk *fc.Client) error {
		_, err := sdk.ListStatefulAsyncInvocationsWithOptions(&of.service, &of.function, req,
			&fc.ListStatefulAsyncInvocationsHeaders{CommonHeaders: s.headers()}, new(util.RuntimeOptions))
		return err
	}, func(body io.Reader) (err error) {
		list, err = decodeInvocations(body, records)
		return err
	})
	if status := (*extract.StatusError)(nil); errors.As(err, &status) && gone(status) {
		err = fmt.Errorf("%w: %w", archive.ErrGone, err)
	}
	return list, err
}

func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// refused reports whether the source refused a question that begins at a token:
// the token has run out, or is not of this list. Asking again would be refused
// as well.
func refused(err error) bool {
	var status *extract.StatusError
	return errors.As(err, &status) && status.Status >= 400 && status.Status < 500 &&
		status.Status != http.StatusRequestTimeout && status.Status != http.StatusTooManyRequests &&
		!errors.Is(err, archive.ErrDenied) && !errors.Is(err, archive.ErrGone)
}

var _ archive.Source = (*Source)(nil)
