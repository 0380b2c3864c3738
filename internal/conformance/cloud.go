package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"archiver/internal/archive"
)

// A Record is an invocation as the cloud has it.
type Record struct {
	ID      string
	Status  string // one of the five of package archive
	Message string
	Start   time.Time
	End     time.Time // zero where it has not ended
	Raw     string    // if set, the element as JSON; of the other fields only Start counts
}

// A Cloud has the functions of a service and the records of each function. The handler
// of a Way reads them from the Cloud, and writes them in the form of the service.
type Cloud struct {
	mu        sync.Mutex
	functions []archive.Function
	records   []Record
	versions  []Element[archive.Function] // of the first function, as are aliases and settings
	aliases   []Element[archive.Alias]
	settings  []Element[archive.Setting]

	leftOpen, rightOpen bool                            // whether the query excludes its first, its last second
	most                int                             // the most records a page, also if the call asks for more; 0 for no limit
	stuck               string                          // "page": every page is the first one; "marker": the next page begins where this page began
	drift               func(records []Record) []Record // changes the records between two pages
	hidden              int                             // functions that are counted and not listed
	asked               []Question
}

// A Question is a call for a page of a function's records.
type Question struct {
	Function      string // its URN
	From, To      time.Time
	RequestID     string // only this one, if set
	Offset, Limit int
	OldestFirst   bool
}

// An Answer is the page for a Question.
type Answer struct {
	Records []Record
	Offset  int  // of the first record
	Next    int  // the offset after the last record
	Total   int  // records of the whole query
	More    bool // another page follows
}

// List answers a call for records. It lists the records that start in [From, To], the
// newest first unless the question says otherwise.
func (c *Cloud) List(q Question) Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, q)
	if q.Offset > 0 && c.drift != nil {
		c.records = c.drift(c.records)
	}
	var found []Record
	for _, r := range c.records {
		after, before := !r.Start.Before(q.From), !r.Start.After(q.To)
		if c.leftOpen {
			after = r.Start.After(q.From)
		}
		if c.rightOpen {
			before = r.Start.Before(q.To)
		}
		if after && before && (q.RequestID == "" || q.RequestID == r.ID) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b Record) int {
		if q.OldestFirst {
			a, b = b, a
		}
		return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(b.ID, a.ID))
	})
	limit := q.Limit
	if c.most > 0 {
		limit = min(limit, c.most)
	}
	from := q.Offset
	if c.stuck != "" {
		from = 0
	}
	from = min(from, len(found))
	a := Answer{Offset: from, Next: min(from+limit, len(found)), Total: len(found)}
	a.Records, a.More = found[from:a.Next], a.Next < len(found)
	switch c.stuck {
	case "page":
		a.Next, a.More = q.Offset+len(a.Records), true
	case "marker":
		a.Next, a.More = q.Offset, true
	}
	return a
}

// Functions answers a call for a page of functions.
func (c *Cloud) Functions(offset, limit int) (page []archive.Function, next, total int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offset = min(offset, len(c.functions))
	next = min(offset+limit, len(c.functions))
	return slices.Clone(c.functions[offset:next]), next, len(c.functions) + c.hidden
}

// An Element is one element of a list.
type Element[T any] struct {
	Is  T
	Raw string // if set, the element as JSON, instead of Is
}

// Versions answers a call for a page of a function's versions. The latest version is
// one of them.
func (c *Cloud) Versions(function string, offset, limit int) (page []Element[archive.Function], next, total int) {
	return pageOf(c, function, c.versions, offset, limit)
}

// Aliases answers a call for a page of a function's aliases.
func (c *Cloud) Aliases(function string, offset, limit int) (page []Element[archive.Alias], next, total int) {
	return pageOf(c, function, c.aliases, offset, limit)
}

// Settings answers a call for a page of a function's settings.
func (c *Cloud) Settings(function string, offset, limit int) (page []Element[archive.Setting], next, total int) {
	return pageOf(c, function, c.settings, offset, limit)
}

// pageOf returns a page of a list. The list does not change while a source reads it.
func pageOf[T any](c *Cloud, function string, all []Element[T], offset, limit int) (page []Element[T], next, total int) {
	if function != c.functions[0].URN {
		return nil, 0, 0
	}
	offset = min(offset, len(all))
	next = min(offset+limit, len(all))
	return all[offset:next], next, len(all)
}

// questions returns the questions asked so far.
func (c *Cloud) questions() []Question {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// now returns the current records.
func (c *Cloud) now() []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.records)
}

// spread returns n records, evenly spread over the hour that begins at from.
func spread(prefix string, from time.Time, n int) []Record {
	records := make([]Record, n)
	for i := range records {
		start := from.Add(time.Duration(i) * time.Hour / time.Duration(n)).Truncate(time.Second)
		records[i] = Record{
			ID: fmt.Sprintf("%s-%04d", prefix, i), Status: archive.StatusSuccess, Start: start, End: start.Add(2 * time.Second),
		}
	}
	return records
}
