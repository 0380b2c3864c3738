package simulate

import "slices"

// query is what one call asks of a function's records. Times are in seconds
// since the epoch, both included; id and status are empty where any will do.
type query struct {
	function      int
	version       int // index in versions
	begin, end    int64
	id            string
	status        Status
	marker, limit int
	now           int64
}

// hit is a record and where it is kept.
type hit struct {
	day   *day
	index int
	packed
}

func (h hit) position(function int) position {
	return position{day: h.day.number, function: function, index: h.index}
}

// listed is the time by which the API lists the record: its start, or the
// moment it was queued while it has not started.
func (h hit) listed(now int64) int64 {
	t := h.day.midnight() + h.start()
	if t > now {
		t -= h.wait()
	}
	return t
}

// page appends the records of the page that q asks for to hits, newest first,
// and returns them with the number of all records that match.
func (d *Data) page(q query, hits []hit) ([]hit, int) {
	q.now = d.settledBy(q.now)
	if q.id != "" {
		return d.lookup(q, hits)
	}
	total := 0
	oldest := max(d.first, dayNumber(q.begin))
	for number := min(d.lastDay(q.now), dayNumber(q.end+maxWait)); number >= oldest; number-- {
		y := d.day(number)
		records := y.functions[q.function]
		if q.status == "" && q.end+maxWait < q.now {
			// Everything in range has started: positions can be counted.
			from, to := span(records, q.begin-y.midnight(), q.end-y.midnight())
			skip := min(max(q.marker-total, 0), to-from)
			for i := to - 1 - skip; i >= from && len(hits) < q.limit; i-- {
				hits = append(hits, hit{day: y, index: i, packed: records[i]})
			}
			total += to - from
			continue
		}
		from, to := span(records, q.begin-y.midnight(), min(q.end, q.now)+maxWait-y.midnight())
		for i := to - 1; i >= from; i-- {
			h := hit{day: y, index: i, packed: records[i]}
			if !q.match(h) {
				continue
			}
			if total >= q.marker && len(hits) < q.limit {
				hits = append(hits, h)
			}
			total++
		}
	}
	return hits, total
}

// lookup finds the record that a request id encodes. All conditions of the
// query apply to it: an id outside the time range is not found.
func (d *Data) lookup(q query, hits []hit) ([]hit, int) {
	p, ok := d.ids.decode(q.id)
	if !ok || p.function != q.function || p.day < d.first || p.day > d.lastDay(q.now) {
		return hits, 0
	}
	y := d.day(p.day)
	if p.index >= len(y.functions[p.function]) {
		return hits, 0
	}
	h := hit{day: y, index: p.index, packed: y.functions[p.function][p.index]}
	if !q.match(h) {
		return hits, 0
	}
	if q.marker == 0 && q.limit > 0 {
		hits = append(hits, h)
	}
	return hits, 1
}

func (q *query) match(h hit) bool {
	if t := h.listed(q.now); t > q.now || t < q.begin || t > q.end {
		return false
	}
	return q.status == "" || q.status == h.at(h.day.midnight(), q.now).status
}

// span returns the half-open range of the records that start from begin to end,
// both in seconds of the day and included.
func span(records []packed, begin, end int64) (from, to int) {
	from, _ = slices.BinarySearch(records, startingAt(begin))
	to, _ = slices.BinarySearch(records, startingAt(end+1))
	return from, max(from, to)
}

// startingAt is the least packed value of a start at or after a second.
func startingAt(second int64) packed {
	return packed(min(max(second, 0), secondsPerDay)) << startShift
}
