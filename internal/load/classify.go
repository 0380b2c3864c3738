package load

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"time"

	"archiver/internal/archive"
)

// changes are what a page changes in the archive.
type changes struct {
	write   []*row   // new rows, and the new versions of changed rows
	replace []string // request ids whose stored rows are deleted before write is inserted
	kept    archive.Kept
}

// classify compares a page with the stored rows of its request ids, and adds to windows
// what the page changes in them. A record that equals its stored row is not written.
func classify(functionID int32, b *archive.Batch, found existingRows, windows *windowChanges) *changes {
	c := &changes{}
	fresh := make([]row, len(b.Invocations))
	c.write = make([]*row, 0, len(fresh))
	for i := range b.Invocations {
		inv, r := &b.Invocations[i], &fresh[i]
		*r = row{
			firstArchived: b.At, updated: b.At, functionID: functionID,
			start: micro(inv.Start), end: micro(inv.End),
			requestID: inv.RequestID, status: inv.Status, sourceStatus: inv.SourceStatus,
			errorCode: inv.ErrorCode, errorMessage: inv.ErrorMessage, extra: inv.Extra,
		}
		if inv.Start.IsZero() {
			r.queried = b.Walk.Span.WindowOf(inv.Start)
		}
		old := found[inv.RequestID]
		if len(old) == 0 {
			c.kept.Inserted++
			c.add(r, windows, b.At)
			continue
		}
		e := best(old)
		switch {
		case inv.InFlight() && !e.inFlight, len(old) == 1 && e.same(r):
			// A settled row never returns to in flight: an answer that says so is
			// older than the stored row.
			c.kept.Unchanged++
			if e.inFlight {
				c.kept.InFlight++
			}
		default:
			c.kept.Updated++
			// The row stays with the function that brought it first. A row without
			// a start stays with the window in which it was found first.
			r.firstArchived, r.functionID = e.firstArchived, e.functionID
			if r.start.IsZero() {
				r.queried = e.window()
			}
			c.replace = append(c.replace, inv.RequestID)
			for j := range old {
				windows.add(old[j].functionID, old[j].window(), b.At, -1, -pending(old[j].inFlight))
				// Windows with a row without a start are not compared by their counts.
				if !old[j].start.IsZero() && !old[j].window().Equal(r.window()) {
					windows.at(old[j].functionID, old[j].window(), b.At).left = true
				}
			}
			c.add(r, windows, b.At)
		}
	}
	return c
}

func (c *changes) add(r *row, windows *windowChanges, at time.Time) {
	inFlight := archive.InFlight(r.status)
	c.write = append(c.write, r)
	windows.add(r.functionID, r.window(), at, 1, pending(inFlight))
	c.kept.InFlight += pending(inFlight)
}

func pending(inFlight bool) int {
	if inFlight {
		return 1
	}
	return 0
}

// best is the row to compare with: a settled row rather than a row in flight.
func best(old []existing) *existing {
	for i := range old {
		if !old[i].inFlight {
			return &old[i]
		}
	}
	return &old[0]
}

// same reports whether a record of the source equals the stored row.
func (r *row) same(o *row) bool {
	return r.status == o.status && r.sourceStatus == o.sourceStatus &&
		r.errorCode == o.errorCode && r.errorMessage == o.errorMessage &&
		r.start.Equal(o.start) && r.end.Equal(o.end) && sameJSON(r.extra, o.extra)
}

// micro is a time as PostgreSQL holds it, in microseconds.
func micro(t time.Time) time.Time { return t.Truncate(time.Microsecond) }

// sameJSON compares by value, because jsonb keeps neither the order of keys, nor
// spaces, nor how a number was written.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, okX := decodeJSON(a)
	y, okY := decodeJSON(b)
	return okX && okY && reflect.DeepEqual(x, y)
}

func decodeJSON(data []byte) (v any, ok bool) {
	if data == nil {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err := d.Decode(&v)
	return exact(v), err == nil
}

// A number is a JSON number as a fraction in lowest terms. It is a type of its own
// because the JSON number 1 differs from the string "1".
type number string

// exact replaces numbers, so that numbers of equal value are equal in Go.
func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return number(r.RatString())
		}
		return v
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	}
	return v
}
