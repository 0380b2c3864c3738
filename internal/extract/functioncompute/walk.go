package functioncompute

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/url"
	"slices"

	"archiver/internal/archive"
)

// A listQuery is one of the lists that together answer a query. An empty field is
// not sent.
type listQuery struct {
	qualifier string
	status    string // one of the source's statuses
	prefix    string // of the invocation id
}

// listQueries returns the lists that answer a query of a function with these
// qualifiers.
func listQueries(q archive.Query, qualifiers []string) (all []listQuery) {
	add := func(prefix string) {
		for _, qualifier := range qualifiers {
			for _, status := range queryStatuses(q.Status) {
				all = append(all, listQuery{qualifier, status, prefix})
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

// A walk reads the lists that answer a query, one after the other.
type walk struct {
	pager     *tokenPager // of the current list
	query     listQuery   // the current list
	remaining []listQuery // the lists after it
	done      bool        // all lists are read
	answered  bool        // one of the lists was not missing

	lastDigest uint64 // of the last page
	repeats    int    // how often that page has come again
}

// ended returns the error of the current page that ends the walk. A list of a qualifier
// that does not exist any more, or has no asynchronous tasks, ends alone: its page is
// empty. If no list was there, the source keeps no records of the function.
func (w *walk) ended(err error) error {
	switch missing := missing(err); {
	case err == nil:
		w.answered = true
	case missing == theFeature, missing == theQualifier && w.query.qualifier != "":
		if w.answered || len(w.remaining) > 0 {
			return nil
		}
		return fmt.Errorf("%w: it has no asynchronous tasks: %w", archive.ErrGone, err)
	case w.pager.token != "" && tokenRefused(err):
		return fmt.Errorf("%w: %w", archive.ErrCursor, err)
	}
	return err
}

// maxRepeats is how often the same page may come again with new tokens.
const maxRepeats = 2

// checkRepeated returns an error if the same page comes over and over, so that
// the tokens lead to no end.
func (w *walk) checkRepeated(list *invocationList) error {
	if digest := list.digest(); digest != w.lastDigest || len(list.invocations)+len(list.rejected) == 0 {
		w.lastDigest, w.repeats = digest, 0
		return nil
	}
	if w.repeats++; w.repeats > maxRepeats {
		return errors.New("the source returns the same page again and again, so the end of its list cannot be found")
	}
	return nil
}

var digestSeed = maphash.MakeSeed()

func (l *invocationList) digest() uint64 {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	for i := range l.invocations {
		_, _ = h.WriteString(l.invocations[i].RequestID)
		_ = h.WriteByte(0)
	}
	for i := range l.rejected {
		_, _ = h.Write(l.rejected[i].Payload)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// newWalk starts at the cursor, or at the first list if the cursor is empty. The
// error of an unusable cursor matches archive.ErrCursor.
func newWalk(queries []listQuery, c archive.Cursor) (*walk, error) {
	if c == "" {
		return &walk{pager: newTokenPager(""), query: queries[0], remaining: queries[1:]}, nil
	}
	values, err := url.ParseQuery(string(c))
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be read", archive.ErrCursor)
	}
	i := slices.Index(queries, listQuery{values.Get("qualifier"), values.Get("status"), values.Get("invocationIdPrefix")})
	if i < 0 {
		return nil, fmt.Errorf("%w: the source no longer lists its qualifier", archive.ErrCursor)
	}
	return &walk{pager: newTokenPager(values.Get("nextToken")), query: queries[i], remaining: queries[i+1:], answered: true}, nil
}

// advance moves to the page of the token that the last page ended with, or to the
// next list.
func (w *walk) advance(next string) error {
	if err := w.pager.advance(next); err != nil || !w.pager.last {
		return err
	}
	if w.done = len(w.remaining) == 0; !w.done {
		w.pager, w.query, w.remaining = newTokenPager(""), w.remaining[0], w.remaining[1:]
		w.lastDigest, w.repeats = 0, 0 // the next list may begin with the same page
	}
	return nil
}

// cursor encodes the current position in ASCII. It is empty at the end of the
// walk.
func (w *walk) cursor() archive.Cursor {
	if w.done {
		return ""
	}
	values := make(url.Values)
	for name, value := range map[string]string{
		"qualifier": w.query.qualifier, "status": w.query.status, "invocationIdPrefix": w.query.prefix, "nextToken": w.pager.token,
	} {
		if value != "" || name == "nextToken" { // so that only the end of the walk is empty
			values.Set(name, value)
		}
	}
	return archive.Cursor(values.Encode())
}
