package functioncompute

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/url"
	"slices"
	"sync"

	"archiver/internal/archive"
)

// tokens is a way through one list. A page that is short, or empty, is not the
// last one, only one without a token is (page: ListStatefulAsyncInvocations,
// nextToken).
//
// Whatever the source answers, the list ends: at a token that came before,
// because from there on the same would come again, or beyond maxPages. Neither
// is an end of the list: what is missing, nothing would tell.
type tokens struct {
	token string // of the page to ask for; empty for the first
	last  bool   // there is none any more
	pages int
	seed  maphash.Seed
	seen  map[uint64]struct{}
}

// maxPages is far beyond what one function runs asynchronously in the time that
// one list speaks of: 50 million records.
const maxPages = 500_000

func newTokens(token string) *tokens {
	t := &tokens{token: token, seed: maphash.MakeSeed(), seen: make(map[uint64]struct{})}
	t.seen[maphash.String(t.seed, token)] = struct{}{}
	return t
}

// advance takes in the token that a page ends with.
func (t *tokens) advance(next string) error {
	t.token, t.last = next, next == ""
	if t.last {
		return nil
	}
	h := maphash.String(t.seed, next)
	if _, again := t.seen[h]; again {
		return fmt.Errorf("the source gives the same nextToken again, so that its list has no end to be found")
	}
	t.seen[h] = struct{}{}
	if t.pages++; t.pages > maxPages {
		return fmt.Errorf("the source's list goes on beyond %d pages", maxPages)
	}
	return nil
}

// A list is one question, of the several that a query may take. What is empty
// is not asked for.
type list struct {
	qualifier string
	status    string // in the source's words
	prefix    string // of the invocation id
}

// lists are those that answer a query, of a function with these qualifiers.
func lists(q archive.Query, qualifiers []string) (all []list) {
	add := func(prefix string) {
		for _, qualifier := range qualifiers {
			for _, word := range statusWords(q.Status) {
				all = append(all, list{qualifier, word, prefix})
			}
		}
	}
	if q.RequestID != "" {
		add(invocationID(q))
	}
	if q.RequestID == "" || q.Search {
		add("")
	}
	return all
}

// A walk is a way through the lists that answer a query.
type walk struct {
	*tokens
	list        // that it is in
	left []list // those after it
	last bool   // no page is left to ask for

	page    uint64 // digest of the last page
	repeats int    // how often it has come again since
}

// maxRepeats is how often a page may come again under new tokens.
const maxRepeats = 2

// took takes in what a page holds. An error means that the same comes over and
// over, so that no token leads to an end.
func (w *walk) took(list *invocationList) error {
	var h maphash.Hash
	h.SetSeed(pageSeed)
	for i := range list.invocations {
		_, _ = h.WriteString(list.invocations[i].RequestID)
		_ = h.WriteByte(0)
	}
	for i := range list.rejected {
		_, _ = h.Write(list.rejected[i].Payload)
		_ = h.WriteByte(0)
	}
	if page := h.Sum64(); page != w.page || len(list.invocations)+len(list.rejected) == 0 {
		w.page, w.repeats = page, 0
		return nil
	}
	if w.repeats++; w.repeats > maxRepeats {
		return errors.New("the source gives the same page again and again, so that its list has no end to be found")
	}
	return nil
}

var pageSeed = maphash.MakeSeed()

// newWalk begins at the cursor, or at the beginning where it is empty. A cursor
// that leads nowhere matches archive.ErrCursor.
func newWalk(lists []list, c archive.Cursor) (*walk, error) {
	if c == "" {
		return &walk{tokens: newTokens(""), list: lists[0], left: lists[1:]}, nil
	}
	at, err := url.ParseQuery(string(c))
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be read", archive.ErrCursor)
	}
	i := slices.Index(lists, list{at.Get("qualifier"), at.Get("status"), at.Get("invocationIdPrefix")})
	if i < 0 {
		return nil, fmt.Errorf("%w: it is of a qualifier that is not listed any more", archive.ErrCursor)
	}
	return &walk{tokens: newTokens(at.Get("nextToken")), list: lists[i], left: lists[i+1:]}, nil
}

// advance takes in the token that a page ends with.
func (w *walk) advance(next string) error {
	if err := w.tokens.advance(next); err != nil || !w.tokens.last {
		return err
	}
	if w.last = len(w.left) == 0; !w.last {
		w.tokens, w.list, w.left = newTokens(""), w.left[0], w.left[1:]
		w.page, w.repeats = 0, 0 // the next list may well hold the same
	}
	return nil
}

// cursor says where the walk is, in ASCII whatever the token is made of. It is
// empty once the walk has ended.
func (w *walk) cursor() archive.Cursor {
	if w.last {
		return ""
	}
	at := make(url.Values)
	for name, value := range map[string]string{
		"qualifier": w.qualifier, "status": w.status, "invocationIdPrefix": w.prefix, "nextToken": w.token,
	} {
		if value != "" {
			at.Set(name, value)
		}
	}
	return archive.Cursor(at.Encode())
}

// qualifiers are those, versions and aliases, that each function was last listed
// with. The source files records by them, and which it gives to a question
// without one is on no page: all, or those of LATEST. So that each is asked for
// where there are several. A record that comes more than once is one all the
// same.
type qualifiers struct {
	mu     sync.Mutex
	listed map[string][]string // by URN
}

// AsksAsListed says that what is asked of a function goes by its list: its
// records are found by the qualifiers that Functions has last seen.
func (*Source) AsksAsListed() {}

// latest is what a qualifier is that is left out.
const latest = "LATEST"

func (q *qualifiers) set(listed map[string][]string) {
	for urn, list := range listed {
		for i := range list {
			if list[i] == "" {
				list[i] = latest
			}
		}
		slices.Sort(list)
		listed[urn] = slices.Compact(list)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.listed = listed
}

// of are the qualifiers to ask a function for, at least one: empty for a
// question without.
func (q *qualifiers) of(urn string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if list := q.listed[urn]; len(list) > 1 || len(list) == 1 && list[0] != latest {
		return list
	}
	return []string{""}
}
