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
	"time"

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

	// The permission for each call (page: ListStatefulAsyncInvocations,
	// Authorization information). The page does not name the permission to list
	// functions; it follows the same pattern.
	permissionFunctions   = "fc:ListStatefulAsyncInvocationFunctions"
	permissionInvocations = "fc:ListStatefulAsyncInvocations"
)

// A Source reads the functions and invocations of one account in one region. It
// implements archive.Source.
type Source struct {
	address        address
	pageSize       int // elements per call
	includePayload bool
	client         *client
	caller         *extract.Caller
	log            *slog.Logger
	qualifiers     qualifierSet
}

// New makes a source. Errors that match extract.ErrOptions come from the
// options, before any call.
func New(o Options, caller *extract.Caller, log *slog.Logger) (*Source, error) {
	addr, err := newAddress(o)
	if err != nil {
		return nil, err
	}
	c, err := newClient(o, addr, caller)
	if err != nil {
		return nil, err
	}
	pageSize := min(cmp.Or(o.PageSize, maxLimit), maxLimit)
	s := &Source{address: addr, pageSize: pageSize, includePayload: o.IncludePayload, client: c, caller: caller, log: log}
	caller.SetProbe(s.Ping)
	return s, nil
}

// ID returns the account and region, as far as they are known.
func (s *Source) ID() archive.SourceID {
	return archive.SourceID{Provider: Provider, Region: s.address.region, ProjectID: s.address.account}
}

// Stats returns the totals of the calls so far.
func (s *Source) Stats() archive.SourceStats { return s.caller.Stats() }

// Traits are what the pages say: the tasks of the last 7 days can be queried. A task
// waits up to 7 days and runs up to 24 hours.
var Traits = archive.Traits{Retention: 7 * 24 * time.Hour, MaxLife: 8 * 24 * time.Hour, SortsBothWays: true}

// Ahead returns how far the source's clock is ahead of this machine's, and the answer that
// says so.
func (s *Source) Ahead() (ahead time.Duration, answer int64) { return s.caller.Ahead() }

// Pace returns how many calls the source accepts.
func (s *Source) Pace() int64 { return s.caller.Pace() }

// StartPace sets the pace that was learned earlier.
func (s *Source) StartPace(pace int64) { s.caller.StartPace(pace) }

// Traits returns Traits, with the size of this source's pages.
func (s *Source) Traits() archive.Traits {
	traits := Traits
	traits.Page = s.pageSize
	return traits
}

// Named returns the function of a URN.
func (s *Source) Named(urn string) (archive.Function, bool) {
	n, err := parseURN(urn)
	return archive.Function{URN: urn, Name: n.String()}, err == nil
}

// Ping lists one function.
func (s *Source) Ping(ctx context.Context) error {
	_, err := s.listFunctions(ctx, "", 1)
	return err
}

// Endpoint returns the URL of the API.
func (s *Source) Endpoint() string { return s.client.base }

// headers returns additional headers. The SDK also has a field for the account
// id, but sends its value in quotes.
func (s *Source) headers() map[string]*string {
	if s.address.account == "" {
		return nil
	}
	return map[string]*string{"X-Fc-Account-Id": &s.address.account}
}

// Pages reads a function's invocations from the cursor on. It reads one list
// after the other: for each of the function's qualifiers, and for each of the
// source's statuses that q.Status stands for.
func (s *Source) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		function, err := parseURN(q.Function.URN)
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		walk, err := newWalk(listQueries(q, s.qualifiers.of(q.Function.URN)), q.Cursor)
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		for !walk.done {
			share := new(extract.Share)
			list, err := s.invocations(ctx, function, q, walk, share)
			if err = walk.ended(err); err != nil {
				share.Release()
				yield(archive.Page{}, err)
				return
			}
			page := archive.Page{Invocations: list.invocations, Rejected: list.rejected, Count: -1, Lists: len(walk.remaining)}
			if q.RequestID != "" {
				page = filterRequestID(q.RequestID, page)
			}
			if share.Large() {
				page.Free = share.Release
			}
			noEnd := walk.checkRepeated(&list)
			if noEnd == nil {
				noEnd = walk.advance(list.next)
			}
			if noEnd == nil {
				page.Next, page.Last = walk.cursor(), walk.done
			}
			if !yield(page, nil) {
				return
			}
			page.Release()
			if noEnd != nil {
				// The page has no cursor, so the next walk starts from the
				// beginning.
				yield(archive.Page{}, noEnd)
				return
			}
		}
	}
}

func (s *Source) invocations(ctx context.Context, function functionName, q archive.Query, w *walk, share *extract.Share) (list invocationList, err error) {
	limit := int32(s.pageSize)
	if q.Limit > 0 {
		limit = min(int32(q.Limit), limit)
	}
	begin, end, order := q.From.UnixMilli(), q.To.UnixMilli(), "asc"
	if q.Newest {
		order = "desc"
	}
	req := &fc.ListStatefulAsyncInvocationsRequest{
		Qualifier: nilIfEmpty(w.query.qualifier), Status: nilIfEmpty(w.query.status), InvocationIdPrefix: nilIfEmpty(w.query.prefix),
		NextToken: nilIfEmpty(w.pager.token), Limit: &limit,
		StartedTimeBegin: &begin, StartedTimeEnd: &end, SortOrderByTime: &order,
	}
	if s.includePayload {
		req.IncludePayload = &s.includePayload
	}
	records := &recordReader{function: function, keepPayload: s.includePayload}
	ctx = extract.WithCall(ctx, extract.Call{Function: q.Function.URN, Tries: q.Tries, Ended: q.Ended, Share: share})
	err = s.client.call(ctx, permissionInvocations, func(sdk *fc.Client) error {
		_, err := sdk.ListStatefulAsyncInvocationsWithOptions(&function.service, &function.function, req,
			&fc.ListStatefulAsyncInvocationsHeaders{CommonHeaders: s.headers()}, new(util.RuntimeOptions))
		return err
	}, func(body io.Reader) (err error) {
		list, err = decodeInvocations(body, records)
		return err
	})
	if missing(err) == theFunction {
		err = fmt.Errorf("%w: %w", archive.ErrGone, err)
	}
	if err == nil && w.query.qualifier == "" && records.qualified {
		s.qualifiers.unfiltered.Store(true)
	}
	return list, err
}

func nilIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// tokenRefused reports whether the source refused a request with a token. The
// token has expired, or is not of this list. A retry would be refused too.
func tokenRefused(err error) bool {
	var status *extract.StatusError
	return errors.As(err, &status) && status.Status >= 400 && status.Status < 500 &&
		status.Status != http.StatusRequestTimeout && !status.Throttled() &&
		!errors.Is(err, archive.ErrDenied) && !errors.Is(err, archive.ErrGone)
}

var _ archive.Source = (*Source)(nil)
