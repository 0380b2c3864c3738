package simulate

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"time"
)

// Data is a set of functions and the records of their invocations. It is safe
// for concurrent use, and its records never change: a live Data only shows more
// of them as time goes by.
type Data struct {
	names []string
	ids   requestIDs
	seed  uint64
	first int64 // the first day, in days since 1970-01-01

	// now is nil for a replayed day, which is settled whatever the clock says.
	now func() time.Time

	generate func(number int64) *day
	mu       sync.Mutex
	days     map[int64]*day
}

// day holds each function's records of one UTC day, by ascending start; records
// that start in the same second keep their order for good.
type day struct {
	number    int64 // days since 1970-01-01
	functions [][]packed
}

func (y *day) midnight() int64 { return y.number * secondsPerDay }

// replay returns the Data of a single day.
func replay(names []string, ids requestIDs, seed uint64, y *day) *Data {
	return &Data{names: names, ids: ids, seed: seed, first: y.number, days: map[int64]*day{y.number: y}}
}

// dayNumber returns the UTC day that a time in seconds since the epoch lies in.
func dayNumber(unix int64) int64 {
	n := unix / secondsPerDay
	if unix%secondsPerDay < 0 {
		n--
	}
	return n
}

// Functions returns the names of the functions; a record's function is an index
// into it.
func (d *Data) Functions() []string { return slices.Clone(d.names) }

// Records returns the records of one function, oldest first, as they stand when
// the iteration begins.
func (d *Data) Records(function int) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		now := d.settledBy(d.clock().Unix())
		for number := d.first; number <= d.lastDay(now); number++ {
			y := d.day(number)
			for index, p := range y.functions[function] {
				h := hit{day: y, index: index, packed: p}
				if h.listed(now) <= now && !yield(d.record(function, h, now)) {
					return
				}
			}
		}
	}
}

func (d *Data) record(function int, h hit, now int64) Record {
	s := h.at(h.day.midnight(), now)
	r := Record{
		RequestID:    string(d.ids.append(nil, h.position(function))),
		Status:       s.status,
		ErrorCode:    s.code,
		ErrorMessage: s.message,
	}
	if s.started {
		r.Start = time.Unix(s.start, 0).UTC()
	}
	if s.settled {
		r.End = time.Unix(s.end, 0).UTC()
	}
	return r
}

func (d *Data) clock() time.Time {
	if d.now == nil {
		return time.Now()
	}
	return d.now()
}

// settledBy returns the moment at which records are looked at: now for a live
// Data, the end of time for a replayed day.
func (d *Data) settledBy(now int64) int64 {
	if d.now == nil {
		return math.MaxInt64 / 2
	}
	return now
}

func (d *Data) lastDay(now int64) int64 {
	if d.now == nil {
		return d.first
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

// newDay returns the number of the UTC day that t lies in, or an error for a
// date that cannot be shown as YYYY-MM-DD or does not fit a request id.
func newDay(t time.Time) (int64, error) {
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return 0, fmt.Errorf("date %s: the year must be from 1970 to 9999", t.UTC().Format(time.DateOnly))
	}
	return dayNumber(t.Unix()), nil
}

// count returns how many records a function has by now.
func (d *Data) count(function int, now int64) int {
	q := query{function: function, now: now, begin: d.first * secondsPerDay, end: d.settledBy(now)}
	_, n := d.page(q, nil)
	return n
}
