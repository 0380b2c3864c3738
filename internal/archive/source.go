package archive

import (
	"context"
	"iter"
	"time"
)

// A SourceID names an account's function service in one region.
type SourceID struct {
	Provider  string // functiongraph, functioncompute
	Region    string
	ProjectID string
}

// A Function is one function version as its source names it.
type Function struct {
	URN  string
	Name string

	// Modified is when the function was last changed, as the source writes it; empty
	// if the source does not tell.
	Modified string
}

// A Cursor says where in a query's answer the next page begins. Only the source knows
// its meaning. The empty cursor is the beginning.
type Cursor string

// A Query asks for the invocations of one function in [From, To], in whole seconds,
// UTC. A source may exclude the borders, so the caller makes the query longer than the
// span that it needs: see QueryMargin.
type Query struct {
	Function  Function
	From, To  time.Time
	RequestID string // only this one, if set
	Extra     []byte // with RequestID: the record's Extra as the archive has it
	// Search, with RequestID, makes a source that cannot ask for one record look
	// through all records of the range if a narrower query does not find it.
	Search bool
	// Status is one of the five, or the source's own word; empty for all. A source
	// that cannot filter by status yields others as well.
	Status string
	// Newest asks for the newest records first, where the source can ask for that.
	Newest bool
	Limit  int // of a page; 0 for the largest
	Cursor Cursor
	// Tries is how often a failing call is made at most; 0 for the source's own number.
	// Throttled calls do not count.
	Tries int

	// Ahead, if set, is for a source that knows where the next pages begin: each
	// true allows one more page to be asked for before its turn. The source calls
	// Ahead in the goroutine that yields the pages, and not after the last yield.
	Ahead func() bool
	// Freed, if set, receives a value when Ahead may return true again.
	Freed <-chan struct{}

	// Ended, if set, is closed when no call may begin any more. Calls under way go on.
	Ended <-chan struct{}
}

// A Page is one answer. Elements that no Invocation can hold are in Rejected.
type Page struct {
	Invocations []Invocation
	Rejected    []Rejected
	Count       int    // the source's count of the whole query, -1 if it gives none
	Next        Cursor // the cursor after this page
	Last        bool   // no page follows
	Lists       int    // how many more lists follow the list of this page, each with its own order
	Ahead       int    // how many of the next pages have been asked for already

	// Free, if set, lets others read large answers: see Release.
	Free func()
}

// Release says that the caller no longer holds the records of a page. It must be called of a
// large page, which has Free, since other calls wait for its memory. A sequence of pages
// calls it when it is asked for the next one.
func (p *Page) Release() {
	if p.Free != nil {
		p.Free()
	}
}

// Len is the number of elements the source sent.
func (p *Page) Len() int { return len(p.Invocations) + len(p.Rejected) }

// Traits are what a provider's pages say of its API.
type Traits struct {
	Retention time.Duration // how long the source keeps records
	Page      int           // records of the largest page
	MaxLife   time.Duration // how long after its creation a record may still be in flight
	// SortsBothWays says that the source obeys Query.Newest: without Newest the oldest
	// records come first.
	SortsBothWays bool
}

// A NamingSource knows a function by its URN, without a list of functions.
type NamingSource interface {
	Source
	// Named returns the function of a URN; ok is false if the text is not the URN of a
	// function of this provider. f has the URN that the source lists.
	Named(urn string) (f Function, ok bool)
}

// SourceStats are totals since the source was opened.
type SourceStats struct {
	Calls    int64 // calls made, those tried again included
	Refused  int64 // calls answered with "too many"
	Answered int64 // calls answered as they should be
}

// A Source reads one cloud API.
//
// Both sequences end at the first error. Errors match [ErrDenied] if the
// credentials or their permissions are refused for this call, [ErrGone] if the function
// does not exist, [ErrCursor] if the source does not accept a cursor that it gave, and
// [ErrBusy] if the source accepts no calls at all. A list of functions that is not whole
// ends with a [ListError]. The source has already retried all other errors. Cancelling ctx ends a call at once.
// A yielded page belongs to the caller: the source does not change it.
type Source interface {
	ID() SourceID
	Functions(ctx context.Context) iter.Seq2[[]Function, error]
	Pages(ctx context.Context, q Query) iter.Seq2[Page, error]
	Stats() SourceStats
	Traits() Traits
	// Ping makes the cheapest call that needs the credentials. Its errors match
	// ErrDenied and ErrBusy.
	Ping(ctx context.Context) error
}

// A Pacer is a Source that finds out how many calls it accepts.
type Pacer interface {
	// Pace returns how many calls the source accepts in 1,000 seconds; 0 if it has refused
	// none.
	Pace() int64
	// StartPace tells a source that has not refused a call what was learned earlier.
	StartPace(pace int64)
}

// Offsets is a Source whose cursors are offsets. A page of such a source can be asked
// for without the page before it, and a record that cannot be read can be passed over.
type Offsets interface {
	// CursorAt returns the cursor after the first offset records of a query's answer.
	CursorAt(offset int) Cursor
}
