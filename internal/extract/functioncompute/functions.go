package functioncompute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	fc "github.com/alibabacloud-go/fc-open-20210406/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

const (
	// maxListings is how often the functions are listed at most.
	maxListings = 3

	// A page that fails is asked for with fewer functions, down to one.
	pageCut        = 10
	smallPageTries = 2 // how often a smaller page is asked for at most
)

// Functions lists the account's functions that keep records, page by page, each
// function once (SDK: ListStatefulAsyncInvocationFunctions). A list that is not whole ends
// with an archive.ListError.
//
// The list has no count. If its last page is full, the source may have cut the list off.
// Then the functions are listed again with pages of another size, until nothing new comes.
func (s *Source) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		l := listing{urn: s.address.urn, listed: make(map[string][]string)}
		for list := 1; ; list++ {
			before := len(l.listed)
			for page := range s.functionPages(ctx, maxLimit+1-list, &l) {
				if !yield(page, nil) {
					return
				}
			}
			switch {
			case context.Cause(ctx) != nil:
				yield(nil, context.Cause(ctx))
				return
			case l.failed != nil && (len(l.listed) == 0 || errors.Is(l.failed, archive.ErrBusy)):
				yield(nil, fmt.Errorf("list the functions at %s: %w", s.client.base, l.failed))
				return
			case (l.failed == nil && l.full && (list == 1 || len(l.listed) > before) || l.endless) && list < maxListings:
				continue
			}
			s.qualifiers.set(l.listed)
			if l.unusable > 0 {
				s.log.Warn("skipped functions without a service or a name", "functions", l.unusable)
			}
			if l.failed != nil || l.full && list > 1 && len(l.listed) > before {
				yield(nil, &archive.ListError{Listed: len(l.listed), Counted: -1, Err: l.failed})
			}
			return
		}
	}
}

// A listing is what came of the list of functions.
type listing struct {
	urn      func(functionName) string
	listed   map[string][]string // the qualifiers of each function
	unusable int

	// Of the last time that the functions were listed:
	full    bool  // the last page has as many functions as it was asked for
	failed  error // what ended it
	endless bool  // its tokens lead to no end, or ran out
}

// add adds a page, and returns the functions that are new.
func (l *listing) add(list *functionList) (page []archive.Function) {
	l.unusable += list.unusable
	for _, f := range list.functions {
		urn := l.urn(f.functionName)
		if _, known := l.listed[urn]; !known {
			page = append(page, archive.Function{URN: urn, Name: f.String()})
		}
		l.listed[urn] = append(l.listed[urn], f.qualifier)
	}
	return page
}

// functionPages lists the functions once.
func (s *Source) functionPages(ctx context.Context, limit int, l *listing) iter.Seq[[]archive.Function] {
	return func(yield func([]archive.Function) bool) {
		l.unusable, l.full, l.failed, l.endless = 0, false, nil, false
		t, call := newTokenPager(""), extract.Call{}
		for !t.last {
			list, err := s.listFunctions(extract.WithCall(ctx, call), t.token, limit)
			switch {
			case err != nil && t.token != "" && tokenRefused(err):
				l.failed, l.endless = err, true
				return
			case err != nil && limit > 1 && s.isOfPage(ctx, err, t):
				limit = max(1, limit/pageCut)
				call.Tries = smallPageTries
				continue
			case err != nil:
				l.failed = err
				return
			}
			l.full = len(list.functions)+list.unusable >= limit
			if !yield(l.add(&list)) {
				return
			}
			if l.failed = t.advance(list.next); l.failed != nil {
				l.endless = true
				return
			}
		}
	}
}

// isOfPage reports whether an error may concern this page alone, so that a smaller page
// helps. For the first page it asks for one function.
func (s *Source) isOfPage(ctx context.Context, err error, t *tokenPager) bool {
	if context.Cause(ctx) != nil || !extract.MayConcernPage(err) {
		return false
	}
	if t.token != "" {
		return true
	}
	_, err = s.listFunctions(extract.WithCall(ctx, extract.Call{Tries: smallPageTries}), "", 1)
	return err == nil
}

// listFunctions lists one page.
func (s *Source) listFunctions(ctx context.Context, token string, most int) (list functionList, err error) {
	limit := int32(most)
	err = s.client.call(ctx, permissionFunctions, func(sdk *fc.Client) error {
		_, err := sdk.ListStatefulAsyncInvocationFunctionsWithOptions(
			&fc.ListStatefulAsyncInvocationFunctionsRequest{Limit: &limit, NextToken: nilIfEmpty(token)},
			&fc.ListStatefulAsyncInvocationFunctionsHeaders{CommonHeaders: s.headers()}, new(util.RuntimeOptions))
		return err
	}, func(body io.Reader) (err error) {
		list, err = decodeFunctions(body)
		return err
	})
	return list, err
}
