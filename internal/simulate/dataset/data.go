// Package dataset holds functions and the records of their invocations in
// memory: a published trace ([LoadTrace]), one generated day ([Generate]), or
// days that continue with the clock ([Live]). The same seed and date give the
// same records, in any order of queries.
//
// A stored record takes eight bytes (see packed). Its request id is its
// encrypted position, so ids are unique, look random, need no memory, and can be
// decoded to find their record.
package dataset

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"time"
)

// Data is a set of functions and the records of their invocations. It is safe
// for concurrent use. Its records never change: a live Data only shows more of
// them as its clock advances.
type Data struct {
	names    []string
	ids      requestIDs
	seed     uint64
	firstDay int64 // days since 1970-01-01

	// clock is nil for a replayed day, whose records are all settled.
	clock func() time.Time

	generate func(number int64) *day
	mu       sync.Mutex
	days     map[int64]*day
}

// day holds each function's records of one UTC day, by ascending start. Records
// that start in the same second keep their order.
type day struct {
	number    int64 // days since 1970-01-01
	functions [][]packed
}

func (y *day) midnight() int64 { return y.number * secondsPerDay }

func replay(names []string, ids requestIDs, seed uint64, y *day) *Data {
	return &Data{names: names, ids: ids, seed: seed, firstDay: y.number, days: map[int64]*day{y.number: y}}
}

// dayNumber returns the UTC day of a time in seconds since the epoch.
func dayNumber(unix int64) int64 {
	n := unix / secondsPerDay
	if unix%secondsPerDay < 0 {
		n--
	}
	return n
}

// Functions returns the names of the functions. Elsewhere a function is its
// index in this list.
func (d *Data) Functions() []string { return slices.Clone(d.names) }

// Seed is the seed that the records were drawn from.
func (d *Data) Seed() uint64 { return d.seed }

// FirstDay is the midnight, in UTC, at which the first day begins.
func (d *Data) FirstDay() time.Time { return time.Unix(d.firstDay*secondsPerDay, 0).UTC() }

// Records returns the records of one function, oldest first, as they are when
// the iteration begins.
func (d *Data) Records(function int) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		now := d.AsOf(d.Now().Unix())
		for h := range d.Hits(function, now) {
			if h.Listed(now) <= now && !yield(d.record(function, h, now)) {
				return
			}
		}
	}
}

// Hits returns the records of one function up to the end of now's day, oldest
// first. They include records that are not listed yet.
func (d *Data) Hits(function int, now int64) iter.Seq[Hit] {
	return func(yield func(Hit) bool) {
		for number := d.firstDay; number <= d.lastDay(now); number++ {
			y := d.day(number)
			for index, p := range y.functions[function] {
				if !yield(Hit{day: y, index: index, packed: p}) {
					return
				}
			}
		}
	}
}

func (d *Data) record(function int, h Hit, now int64) Record {
	s := h.State(now)
	r := Record{
		RequestID:    d.RequestID(h.Position(function)),
		Status:       s.Status,
		ErrorCode:    s.Code,
		ErrorMessage: s.Message,
	}
	if s.Started {
		r.Start = time.Unix(s.Start, 0).UTC()
	}
	if s.Settled {
		r.End = time.Unix(s.End, 0).UTC()
	}
	return r
}

// Now is the time by the clock of a live Data, or by the machine's clock.
func (d *Data) Now() time.Time {
	if d.clock == nil {
		return time.Now()
	}
	return d.clock()
}

// AsOf is the time, in seconds since the epoch, as of which records are shown:
// now for a live Data, the end of time for a replayed day.
func (d *Data) AsOf(now int64) int64 {
	if d.clock == nil {
		return math.MaxInt64 / 2
	}
	return now
}

func (d *Data) lastDay(now int64) int64 {
	if d.clock == nil {
		return d.firstDay
	}
	return dayNumber(now)
}

func (d *Data) day(number int64) *day {
	d.mu.Lock()
	defer d.mu.Unlock()
	y := d.days[number]
	if y == nil {
		y = d.generate(number)
		d.days[number] = y
	}
	return y
}

// parseDay returns the number of the UTC day that t lies in. A date that cannot
// be written as YYYY-MM-DD or does not fit a request id is an error.
func parseDay(t time.Time) (int64, error) {
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return 0, fmt.Errorf("date %s: the year must be from 1970 to 9999", t.UTC().Format(time.DateOnly))
	}
	return dayNumber(t.Unix()), nil
}

// Count returns how many records a function has by now.
func (d *Data) Count(function int, now int64) int {
	q := Query{Function: function, Now: now, Begin: d.firstDay * secondsPerDay, End: d.AsOf(now)}
	_, n := d.Page(q, nil)
	return n
}
