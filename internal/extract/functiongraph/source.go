package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdktime"
	functiongraph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// Statuses are those that can be asked for (page: Querying Asynchronous
// Invocation Requests, status).
var Statuses = []string{archive.StatusWait, archive.StatusRunning, archive.StatusSuccess, archive.StatusFail, archive.StatusDiscard}

const (
	// Provider is this source's name.
	Provider = "functiongraph"

	// maxInvocations is the largest page (page: Querying Asynchronous
	// Invocation Requests, limit), maxFunctions that of the list of functions
	// (page: Querying Functions, maxitems).
	maxInvocations = 500
	maxFunctions   = 400

	contentType = "application/json"

	// The permissions are of the older and the newer identity service. The one
	// that guards the list of invocations is named on no page.
	permissionFunctions   = "FunctionGraph:function:list (functiongraph:function:listFunctions)"
	permissionInvocations = `to read asynchronous invocations (the policy "FunctionGraph ReadOnlyAccess" has it)`
)

// A Source is one project's functions in one region. It implements
// archive.Source.
type Source struct {
	id     archive.SourceID
	page   int // invocations asked for at a time
	client *client
	caller *extract.Caller
	log    *slog.Logger
}

// New prepares a source, for which it may have to ask who it is and for its
// project. Its errors match ErrOptions where the options are to blame and
// nothing was tried.
func New(ctx context.Context, o Options, caller *extract.Caller, log *slog.Logger) (*Source, error) {
	c, err := newClient(ctx, o, caller, log)
	if err != nil {
		return nil, err
	}
	id := archive.SourceID{Provider: Provider, Region: o.Region, ProjectID: c.project}
	page := maxInvocations
	if o.PageSize > 0 {
		page = min(o.PageSize, page)
	}
	return &Source{id: id, page: page, client: c, caller: caller, log: log}, nil
}

// ID names the project and region.
func (s *Source) ID() archive.SourceID { return s.id }

// Stats are the calls so far.
func (s *Source) Stats() archive.SourceStats { return s.caller.Stats() }

// Endpoint is where the calls go.
func (s *Source) Endpoint() string { return s.client.endpoint }

// maxLists is how often the functions are listed where fewer came than the
// source counts: one that was deleted between two pages moves the others up.
const maxLists = 3

// Functions lists the project's functions page by page, each once.
func (s *Source) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		seen := make(map[string]struct{})
		for list := 1; ; list++ {
			counted, unusable := 0, 0
			for page, err := range s.functionPages(ctx) {
				if err != nil {
					yield(nil, err)
					return
				}
				counted, unusable = page.count, unusable+page.unusable
				if !yield(unseen(page.functions, seen), nil) {
					return
				}
			}
			switch {
			case counted > len(seen)+unusable && list < maxLists:
				continue
			case counted > len(seen)+unusable:
				s.log.Warn("the source counts more functions than it lists", "counted", counted, "listed", len(seen)+unusable)
			}
			if unusable > 0 {
				s.log.Warn("functions without a URN are left out", "functions", unusable)
			}
			return
		}
	}
}

// unseen are the functions that are not among those seen, and now they are.
func unseen(functions []archive.Function, seen map[string]struct{}) []archive.Function {
	return slices.DeleteFunc(functions, func(f archive.Function) bool {
		_, known := seen[f.URN]
		seen[f.URN] = struct{}{}
		return known
	})
}

// functionPages lists the functions once (page: Querying Functions).
func (s *Source) functionPages(ctx context.Context) iter.Seq2[functionList, error] {
	return func(yield func(functionList, error) bool) {
		for p := newPager(0, maxFunctions); !p.last; {
			marker, limit := p.marker(), strconv.Itoa(maxFunctions)
			var list functionList
			err := s.client.call(ctx, functiongraph.GenReqDefForListFunctions,
				&model.ListFunctionsRequest{Marker: &marker, Maxitems: &limit, ContentType: contentType},
				permissionFunctions,
				func(body io.Reader) (err error) {
					list, err = decodeFunctions(body)
					return err
				})
			if err == nil {
				err = p.advance(list.answered(p.seed))
			}
			if err != nil {
				if context.Cause(ctx) == nil {
					err = fmt.Errorf("ask %s for its functions: %w", s.client.endpoint, err)
				}
				yield(functionList{}, err)
				return
			}
			if !yield(list, nil) {
				return
			}
		}
	}
}

// Pages asks for a function's invocations from the cursor on. The cursor is
// the marker, an offset, so that pages may be asked for before their turn.
func (s *Source) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		offset, err := parseCursor(q.Cursor)
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		// SdkTime prints a literal Z and does not convert.
		from, to := sdktime.SdkTime(q.From.UTC()), sdktime.SdkTime(q.To.UTC())
		var requestID, status *string
		if q.RequestID != "" {
			requestID = &q.RequestID
		}
		if slices.Contains(Statuses, q.Status) {
			status = &q.Status
		}
		most := s.page
		if q.Limit > 0 {
			most = min(q.Limit, most)
		}
		limit := strconv.Itoa(most)
		r := reader{may: q.Ahead, freed: q.Freed, ask: func(ctx context.Context, offset int, began func()) (list invocationList, err error) {
			marker := strconv.Itoa(offset)
			err = s.client.call(ctx,
				func() *def.HttpRequestDef {
					began()
					return functiongraph.GenReqDefForListAsyncInvocations()
				},
				&model.ListAsyncInvocationsRequest{
					FunctionUrn: q.Function.URN, RequestId: requestID, Status: status, Marker: &marker, Limit: &limit,
					QueryBeginTime: &from, QueryEndTime: &to, ContentType: contentType,
				},
				permissionInvocations,
				func(body io.Reader) (err error) {
					list, err = decodeInvocations(body)
					return err
				})
			return list, err
		}}
		defer r.drop()
		for p := newPager(offset, most); !p.last; {
			start := p.offset
			list, err := r.page(ctx, start)
			if err == nil {
				a := list.answered(p.seed)
				err = p.advance(a)
				r.went(start, a.elements, a.count, p)
			}
			if err != nil {
				yield(archive.Page{}, goneOr(err))
				return
			}
			page := archive.Page{
				Invocations: list.invocations, Rejected: list.rejected,
				Count: list.count, Next: archive.Cursor(p.marker()), Last: p.last, Ahead: len(r.asked),
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// goneOr tells a function that is not there (page: Querying Asynchronous
// Invocation Requests, FSS.0404) from a wrong address: a gateway that does not
// know the path answers 404 as well, with an error body and a code of its own.
func goneOr(err error) error {
	var status *extract.StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound && ofService(status) {
		return fmt.Errorf("%w: %w", archive.ErrGone, status)
	}
	return err
}

// ofService reports whether an error is FunctionGraph's own, not that of a
// gateway before it.
func ofService(e *extract.StatusError) bool { return strings.HasPrefix(e.Code, "FSS.") }

func parseCursor(c archive.Cursor) (int, error) {
	if c == "" {
		return 0, nil
	}
	offset, err := strconv.Atoi(string(c))
	if err != nil || offset < 0 {
		return 0, fmt.Errorf("cursor %q is not a marker of this source", string(c))
	}
	return offset, nil
}

var _ archive.Source = (*Source)(nil)
