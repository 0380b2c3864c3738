package dataset

import "slices"

// Query is what one call asks of a function's records. Times are in seconds
// since the epoch, both included. An empty ID or Status matches all.
type Query struct {
	Function      int
	Begin, End    int64
	ID            string
	Status        Status
	Marker, Limit int
	Now           int64
}

// Hit is a record and where it is stored.
type Hit struct {
	day   *day
	index int
	packed
}

// Position is the record's position, given its function.
func (h Hit) Position(function int) Position {
	return Position{Day: h.day.number, Function: function, Index: h.index}
}

// Listed is the time from which the API lists the record, in seconds since the
// epoch: its start, or the moment it was queued if it has not started by now.
func (h Hit) Listed(now int64) int64 {
	t := h.day.midnight() + h.start()
	if t > now {
		t -= h.Wait()
	}
	return t
}

// Page appends the records of the page that q asks for to hits, newest first. It
// also returns how many records match in all.
func (d *Data) Page(q Query, hits []Hit) ([]Hit, int) {
	q.Now = d.AsOf(q.Now)
	if q.ID != "" {
		return d.lookup(q, hits)
	}
	total := 0
	oldest := max(d.firstDay, dayNumber(q.Begin))
	for number := min(d.lastDay(q.Now), dayNumber(q.End+maxWait)); number >= oldest; number-- {
		y := d.day(number)
		records := y.functions[q.Function]
		if q.Status == "" && q.End+maxWait < q.Now {
			// Everything in range has started: positions can be counted.
			from, to := span(records, q.Begin-y.midnight(), q.End-y.midnight())
			skip := min(max(q.Marker-total, 0), to-from)
			for i := to - 1 - skip; i >= from && len(hits) < q.Limit; i-- {
				hits = append(hits, Hit{day: y, index: i, packed: records[i]})
			}
			total += to - from
			continue
		}
		from, to := span(records, q.Begin-y.midnight(), min(q.End, q.Now)+maxWait-y.midnight())
		for i := to - 1; i >= from; i-- {
			h := Hit{day: y, index: i, packed: records[i]}
			if !q.match(h) {
				continue
			}
			if total >= q.Marker && len(hits) < q.Limit {
				hits = append(hits, h)
			}
			total++
		}
	}
	return hits, total
}

// lookup finds the record of a request id. All conditions of the query apply: a
// record outside the time range is not found.
func (d *Data) lookup(q Query, hits []Hit) ([]Hit, int) {
	p, ok := d.ids.decode(q.ID)
	if !ok || p.Function != q.Function || p.Day < d.firstDay || p.Day > d.lastDay(q.Now) {
		return hits, 0
	}
	y := d.day(p.Day)
	if p.Index >= len(y.functions[p.Function]) {
		return hits, 0
	}
	h := Hit{day: y, index: p.Index, packed: y.functions[p.Function][p.Index]}
	if !q.match(h) {
		return hits, 0
	}
	if q.Marker == 0 && q.Limit > 0 {
		hits = append(hits, h)
	}
	return hits, 1
}

func (q *Query) match(h Hit) bool {
	if t := h.Listed(q.Now); t > q.Now || t < q.Begin || t > q.End {
		return false
	}
	return q.Status == "" || q.Status == h.State(q.Now).Status
}

// span returns the half-open range of indices of the records that start from
// begin to end, in seconds of the day, both included.
func span(records []packed, begin, end int64) (from, to int) {
	from, _ = slices.BinarySearch(records, startingAt(begin))
	to, _ = slices.BinarySearch(records, startingAt(end+1))
	return from, max(from, to)
}

// startingAt is the least packed value of a start at or after a second.
func startingAt(second int64) packed {
	return packed(min(max(second, 0), secondsPerDay)) << startShift
}
