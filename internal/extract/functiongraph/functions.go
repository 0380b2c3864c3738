package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	functiongraph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

const (
	// maxListings is how often the functions are listed at most. They are listed
	// again if fewer functions came than the source counts: when a function is
	// deleted between two pages, the offsets of the others change.
	maxListings = 3

	// A source that cuts its lists off does so at a round length. Beyond the end of such a
	// list one more page is asked for.
	roundLength = 10

	// A page that fails is asked for with fewer functions, down to one.
	pageCut        = 8
	smallPageTries = 2 // how often a smaller page is asked for at most
	maxPassed      = 2 // functions that are passed over
)

// Functions lists the project's functions page by page, each function once. A list that is
// not whole ends with an archive.ListError.
func (s *Source) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		seen := make(map[string]struct{})
		for list := 1; ; list++ {
			counted, unusable := -1, 0
			var failed error
			for page, err := range s.functionPages(ctx) {
				if failed = err; err != nil {
					break
				}
				counted, unusable = max(counted, page.count), unusable+page.unusable
				if !yield(dropSeen(page.functions, seen), nil) {
					return
				}
			}
			listed := len(seen) + unusable
			missing := counted > listed
			switch {
			case context.Cause(ctx) != nil:
				yield(nil, context.Cause(ctx))
				return
			case failed != nil && (listed == 0 || errors.Is(failed, archive.ErrBusy)):
				yield(nil, fmt.Errorf("list the functions at %s: %w", s.client.endpoint, failed))
				return
			case (missing && failed == nil || errors.As(failed, new(*endlessError))) && list < maxListings:
				continue
			case missing || failed != nil:
				yield(nil, &archive.ListError{Listed: listed, Counted: counted, Err: failed})
			}
			if unusable > 0 {
				s.log.Warn("skipped functions without a usable URN", "functions", unusable)
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

// functionPages lists the functions once. A page that fails is asked for with fewer
// functions, and a function that cannot be listed is passed over: the pages then end with
// its error. A list of a round length is asked for its end, as long as that does not fail.
func (s *Source) functionPages(ctx context.Context) iter.Seq2[functionList, error] {
	return func(yield func(functionList, error) bool) {
		p := newPager(0, maxFunctions)
		beyond, passed := false, []error(nil)
		for !p.last {
			list, err := s.listFunctions(ctx, p.offset, p.limit, p.limit < maxFunctions || len(passed) > 0)
			switch {
			case beyond && (err != nil || p.repeated(list.pageSummary)):
				p.last = true // the source takes no marker beyond the end
				continue
			case err == nil:
				err = p.advance(list.pageSummary)
			case !s.isOfPage(ctx, err, p):
			case p.limit > 1:
				p.limit = max(1, p.limit/pageCut)
				continue
			case len(passed) < maxPassed:
				passed = append(passed, err)
				p.offset, p.limit = p.offset+1, maxFunctions
				continue
			}
			if !yield(list, err) || err != nil {
				return
			}
			if p.last && list.elements > 0 && p.offset%roundLength == 0 {
				p.last, beyond = false, true
			}
		}
		if len(passed) > 0 {
			yield(functionList{}, passed[0])
		}
	}
}

// isOfPage reports whether an error may concern this page alone, so that a smaller page
// helps. Whether it does is asked before the first page gets smaller.
func (s *Source) isOfPage(ctx context.Context, err error, p *pager) bool {
	if context.Cause(ctx) != nil || !extract.MayConcernPage(err) {
		return false
	}
	if p.offset > 0 || p.limit < maxFunctions {
		return true
	}
	_, err = s.listFunctions(ctx, 0, 1, true)
	return err == nil
}

// listFunctions lists one page (page: Querying Functions).
func (s *Source) listFunctions(ctx context.Context, offset, limit int, quick bool) (functionList, error) {
	if quick {
		ctx = extract.WithCall(ctx, extract.Call{Tries: smallPageTries})
	}
	marker, maxItems := strconv.Itoa(offset), strconv.Itoa(limit)
	return call(ctx, s.client, functiongraph.GenReqDefForListFunctions,
		&model.ListFunctionsRequest{Marker: &marker, Maxitems: &maxItems, ContentType: contentType},
		permissionFunctions, decodeFunctions)
}
