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
	s := &Source{id: id, pageSize: pageSize, client: c, caller: caller, log: log}
	caller.SetProbe(s.Ping)
	return s, nil
}

// ID returns the project and region.
func (s *Source) ID() archive.SourceID { return s.id }

// Stats returns the totals of the calls so far.
func (s *Source) Stats() archive.SourceStats { return s.caller.Stats() }

// Traits are what the pages say. Records are kept in a log stream, by default for
// 30 days. An invocation waits up to 24 hours and runs up to 72 hours (page: Querying
// Asynchronous Execution Notification Settings).
var Traits = archive.Traits{Retention: 30 * 24 * time.Hour, MaxLife: archive.MaxLife}

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

// Named returns the function of a URN:
// urn:fss:region:project:function:package:name:version. A URN without the version means
// the latest one. Other versions are known by the lists of versions alone.
func (s *Source) Named(urn string) (archive.Function, bool) {
	parts := strings.Split(urn, ":")
	if len(parts) == 7 {
		parts = append(parts, latestVersion)
	}
	if len(parts) != 8 || slices.Contains(parts, "") || parts[0] != "urn" || parts[1] != "fss" || parts[7] != latestVersion {
		return archive.Function{}, false
	}
	return archive.Function{URN: strings.Join(parts, ":"), Name: parts[6]}, true
}

// Ping lists one function.
func (s *Source) Ping(ctx context.Context) error {
	_, err := s.listFunctions(ctx, 0, 1, false)
	return err
}

// Endpoint returns the URL of the API.
func (s *Source) Endpoint() string { return s.client.endpoint }

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
				list.share.Release()
				yield(archive.Page{}, goneOr(err))
				return
			}
			page := archive.Page{
				Invocations: list.invocations, Rejected: list.rejected,
				Count: list.count, Next: s.CursorAt(p.offset), Last: p.last, Ahead: len(pages.queue),
			}
			if list.share.Large() {
				page.Free = list.share.Release
			}
			if !yield(page, nil) {
				return
			}
			page.Release()
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
	fetch := func(ctx context.Context, offset int, early bool, started func()) (invocationList, error) {
		marker := strconv.Itoa(offset)
		newDef := func() *def.HttpRequestDef {
			started()
			return functiongraph.GenReqDefForListAsyncInvocations()
		}
		share := new(extract.Share)
		ctx = extract.WithCall(ctx, extract.Call{Function: q.Function.URN, Tries: q.Tries, Ended: q.Ended, Share: share, Early: early})
		list, err := call(ctx, s.client, newDef, &model.ListAsyncInvocationsRequest{
			FunctionUrn: q.Function.URN, RequestId: requestID, Status: status, Marker: &marker, Limit: &limit,
			QueryBeginTime: &from, QueryEndTime: &to, ContentType: contentType,
		}, permissionInvocations, decodeInvocations)
		list.share = share
		return list, err
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
