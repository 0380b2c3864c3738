package functiongraph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdktime"
	functiongraph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// Statuses are the statuses that the API can filter by (page: Querying
// Asynchronous Invocation Requests, status).
var Statuses = []string{archive.StatusWait, archive.StatusRunning, archive.StatusSuccess, archive.StatusFail, archive.StatusDiscard}

const (
	// Provider is this source's name.
	Provider = "functiongraph"

	// The largest pages (pages: Querying Asynchronous Invocation Requests, limit;
	// Querying Functions, maxitems).
	maxInvocations = 500
	maxFunctions   = 400

	contentType = "application/json"

	// The permission's name in the older, and (in parentheses) in the newer
	// identity service. No page names the permission to list invocations.
	permissionFunctions   = "FunctionGraph:function:list (functiongraph:function:listFunctions)"
	permissionInvocations = `to read asynchronous invocations (the policy "FunctionGraph ReadOnlyAccess" has it)`
)

// A Source reads the functions and invocations of one project in one region. It
// implements archive.Source.
type Source struct {
	id       archive.SourceID
	pageSize int // invocations per call
	client   *client
	caller   *extract.Caller
	log      *slog.Logger
}

// New makes a source. It may call the identity service, to log in or to look up
// the project's id. Errors that match extract.ErrOptions come from the options,
// before any call.
func New(ctx context.Context, o Options, caller *extract.Caller, log *slog.Logger) (*Source, error) {
	c, err := newClient(ctx, o, caller, log)
	if err != nil {
		return nil, err
	}
	id := archive.SourceID{Provider: Provider, Region: o.Region, ProjectID: c.project}
	pageSize := min(cmp.Or(o.PageSize, maxInvocations), maxInvocations)
	return &Source{id: id, pageSize: pageSize, client: c, caller: caller, log: log}, nil
}

// ID returns the project and region.
func (s *Source) ID() archive.SourceID { return s.id }

// Stats returns the totals of the calls so far.
func (s *Source) Stats() archive.SourceStats { return s.caller.Stats() }

// Traits are what the pages say. Records are kept in a log stream, by default for
// 30 days. An invocation waits up to 24 hours and runs up to 72 hours (page: Querying
// Asynchronous Execution Notification Settings).
var Traits = archive.Traits{Retention: 30 * 24 * time.Hour, MaxLife: archive.MaxLife}

// Traits returns Traits, with the size of this source's pages.
func (s *Source) Traits() archive.Traits {
	traits := Traits
	traits.Page = s.pageSize
	return traits
}

// Named returns the function of a URN:
// urn:fss:region:project:function:package:name:version, with or without the version.
func (s *Source) Named(urn string) (archive.Function, bool) {
	parts := strings.Split(urn, ":")
	if len(parts) < 7 || len(parts) > 8 || slices.Contains(parts, "") || parts[0] != "urn" || parts[1] != "fss" {
		return archive.Function{}, false
	}
	return archive.Function{URN: urn, Name: parts[6]}, true
}

// Ping lists one function.
func (s *Source) Ping(ctx context.Context) error {
	first, one := "0", "1"
	_, err := call(ctx, s.client, functiongraph.GenReqDefForListFunctions,
		&model.ListFunctionsRequest{Marker: &first, Maxitems: &one, ContentType: contentType},
		permissionFunctions, decodeFunctions)
	return err
}

// Endpoint returns the URL of the API.
func (s *Source) Endpoint() string { return s.client.endpoint }

// maxListings is how often the functions are listed at most. They are listed
// again if fewer functions came than the source counts: when a function is
// deleted between two pages, the offsets of the others change.
const maxListings = 3

// Functions lists the project's functions page by page, each function once.
func (s *Source) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		seen := make(map[string]struct{})
		for list := 1; ; list++ {
			counted, unusable := 0, 0
			for page, err := range s.functionPages(ctx) {
				if err != nil {
					if context.Cause(ctx) == nil {
						err = fmt.Errorf("list the functions at %s: %w", s.client.endpoint, err)
					}
					yield(nil, err)
					return
				}
				counted, unusable = page.count, unusable+page.unusable
				if !yield(dropSeen(page.functions, seen), nil) {
					return
				}
			}
			switch {
			case counted > len(seen)+unusable && list < maxListings:
				continue
			case counted > len(seen)+unusable:
				s.log.Warn("the source's count of functions is higher than its list", "counted", counted, "listed", len(seen)+unusable)
			}
			if unusable > 0 {
				s.log.Warn("skipped functions without a URN", "functions", unusable)
			}
			return
		}
	}
}

// dropSeen removes the functions that are in seen, and adds the others to seen.
func dropSeen(functions []archive.Function, seen map[string]struct{}) []archive.Function {
	return slices.DeleteFunc(functions, func(f archive.Function) bool {
		_, known := seen[f.URN]
		seen[f.URN] = struct{}{}
		return known
	})
}

// functionPages lists the functions once (page: Querying Functions).
func (s *Source) functionPages(ctx context.Context) iter.Seq2[functionList, error] {
	limit := strconv.Itoa(maxFunctions)
	return readPages(maxFunctions, func(marker *string) (functionList, error) {
		return call(ctx, s.client, functiongraph.GenReqDefForListFunctions,
			&model.ListFunctionsRequest{Marker: marker, Maxitems: &limit, ContentType: contentType},
			permissionFunctions, decodeFunctions)
	})
}

// Pages reads a function's invocations from the cursor on. The cursor is the
// marker, which is an offset, so the next pages can be prefetched.
func (s *Source) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		offset, err := parseCursor(q.Cursor)
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		pageSize := s.pageSize
		if q.Limit > 0 {
			pageSize = min(q.Limit, pageSize)
		}
		pages := s.prefetcher(q, pageSize)
		defer pages.cancelAll()
		for p := newPager(offset, pageSize); !p.last; {
			start := p.offset
			list, err := pages.next(ctx, start)
			if err == nil {
				err = p.advance(list.pageSummary)
				pages.advanced(start, list.elements, list.count, p)
			}
			if err != nil {
				yield(archive.Page{}, goneOr(err))
				return
			}
			page := archive.Page{
				Invocations: list.invocations, Rejected: list.rejected,
				Count: list.count, Next: s.CursorAt(p.offset), Last: p.last, Ahead: len(pages.queue),
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (s *Source) prefetcher(q archive.Query, pageSize int) *prefetcher {
	// SdkTime prints a literal Z and does not convert.
	from, to := sdktime.SdkTime(q.From.UTC()), sdktime.SdkTime(q.To.UTC())
	limit := strconv.Itoa(pageSize)
	var requestID, status *string
	if q.RequestID != "" {
		requestID = &q.RequestID
	}
	if slices.Contains(Statuses, q.Status) {
		status = &q.Status
	}
	fetch := func(ctx context.Context, offset int, started func()) (invocationList, error) {
		marker := strconv.Itoa(offset)
		newDef := func() *def.HttpRequestDef {
			started()
			return functiongraph.GenReqDefForListAsyncInvocations()
		}
		ctx = extract.WithCall(ctx, extract.Call{Function: q.Function.URN, Tries: q.Tries})
		return call(ctx, s.client, newDef, &model.ListAsyncInvocationsRequest{
			FunctionUrn: q.Function.URN, RequestId: requestID, Status: status, Marker: &marker, Limit: &limit,
			QueryBeginTime: &from, QueryEndTime: &to, ContentType: contentType,
		}, permissionInvocations, decodeInvocations)
	}
	return &prefetcher{fetch: fetch, allowed: q.Ahead, slotFreed: q.Freed}
}

// goneOr marks an error with archive.ErrGone if FunctionGraph says that the
// function does not exist.
func goneOr(err error) error {
	var status *extract.StatusError
	if errors.As(err, &status) && notFound(status) {
		return fmt.Errorf("%w: %w", archive.ErrGone, status)
	}
	return err
}

// fromFunctionGraph reports whether an error comes from FunctionGraph itself, not
// from a gateway in front of it.
func fromFunctionGraph(e *extract.StatusError) bool { return strings.HasPrefix(e.Code, "FSS.") }

// CursorAt returns the cursor at an offset.
func (s *Source) CursorAt(offset int) archive.Cursor { return archive.Cursor(strconv.Itoa(offset)) }

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

var (
	_ archive.Source  = (*Source)(nil)
	_ archive.Offsets = (*Source)(nil)
)
