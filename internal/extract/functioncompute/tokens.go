package functioncompute

import (
	"fmt"
	"hash/maphash"
)

// A tokenPager follows the tokens of one list. A short or empty page need not be
// the last one: only a page without a token is (page:
// ListStatefulAsyncInvocations, nextToken).
//
// The pager always ends: a repeated token, from which the same pages would come
// again, and more than maxPages pages are errors, because the number of missing
// records is unknown.
type tokenPager struct {
	token string // of the next page; empty for the first page
	last  bool   // there is no next page
	pages int
	seed  maphash.Seed
	seen  map[uint64]struct{} // digests of the tokens so far
}

// maxPages is far more than the invocations of one function in one query: 50
// million records.
const maxPages = 500_000

func newTokenPager(token string) *tokenPager {
	p := &tokenPager{token: token, seed: maphash.MakeSeed(), seen: make(map[uint64]struct{})}
	p.seen[maphash.String(p.seed, token)] = struct{}{}
	return p
}

// advance moves to the page of the token that the last page ended with.
func (p *tokenPager) advance(next string) error {
	p.token, p.last = next, next == ""
	if p.last {
		return nil
	}
	h := maphash.String(p.seed, next)
	if _, repeated := p.seen[h]; repeated {
		return fmt.Errorf("the source returns the same nextToken again, so the end of its list cannot be found")
	}
	p.seen[h] = struct{}{}
	if p.pages++; p.pages > maxPages {
		return fmt.Errorf("the source's list has more than %d pages", maxPages)
	}
	return nil
}
