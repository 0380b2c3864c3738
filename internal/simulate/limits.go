package simulate

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// limits are what the source refuses or does not give: records beyond an offset,
// wide ranges, old records, large pages, single records and seconds.
type limits struct {
	only float64 // the functions that are limited

	ceiling              int // records of a list; 0 for no limit
	ceilingCount, beyond string

	widest      time.Duration // of a range; 0 for no limit
	rangeStatus string

	keeps       time.Duration // how long records are kept; 0 for ever
	keepsAnswer string

	pageBytes, badOffset int // 0 for none
	badRecords           float64
	recordCost           time.Duration
	badSeconds           []badSecond
}

// limited are the switches of limits.
var limited = []toggle{
	shareOf("only", "the functions that have the limits below, at least one (default 1, all)", func(f *Faults) *float64 { return &f.only }),
	whole("ceiling", "the most records that a list gives, however many match", 1, func(f *Faults) *int { return &f.ceiling }),
	words("ceiling-count", "count where the ceiling cuts a list off: at most the ceiling, or the number of all records", func(f *Faults) *string { return &f.ceilingCount },
		"clipped", "true"),
	words("beyond", "a page beyond the ceiling: it is empty; or 400, if it begins at the ceiling or later (400), or would end after it (400-page)", func(f *Faults) *string { return &f.beyond },
		"empty", "400", "400-page"),
	duration("range", "the widest range of a query; a wider one is refused", func(f *Faults) *time.Duration { return &f.widest }),
	words("range-status", "the answer to a range that is too wide", func(f *Faults) *string { return &f.rangeStatus }, "400", "504"),
	duration("keeps", "how long records are kept, such as 7d", func(f *Faults) *time.Duration { return &f.keeps }),
	words("keeps-answer", "a query that begins before that: 400 (refuse), or without the older records (empty)", func(f *Faults) *string { return &f.keepsAnswer },
		"refuse", "empty"),
	whole("page-bytes", "pages of more bytes are answered 500", 1, func(f *Faults) *int { return &f.pageBytes }),
	whole("bad-offset", "pages that hold the record at this offset of the list are answered 500", 1, func(f *Faults) *int { return &f.badOffset }),
	shareOf("bad-records", "records whose pages are answered 500", func(f *Faults) *float64 { return &f.badRecords }),
	duration("record-cost", "how long the answer takes for each record of a page", func(f *Faults) *time.Duration { return &f.recordCost }),
	{name: "bad-seconds", short: "TIMES", value: badSecondsValue, help: "queries that cover one of these seconds are answered 400; of each day, as in 02:30:00, or of one, as in 2026-03-14T02:30:00; with + between several", set: func(f *Faults, value string) (err error) {
		f.badSeconds, err = parseBadSeconds(value)
		return err
	}},
}

const badSecondsValue = "times such as 02:30:00 or 2026-03-14T02:30:00"

// badSecond is a second of one day or of each day.
type badSecond struct {
	at    int64 // since the epoch, or since midnight
	daily bool
}

func parseBadSeconds(value string) (list []badSecond, err error) {
	for text := range strings.SplitSeq(value, "+") {
		if t, err := time.Parse(time.TimeOnly, text); err == nil {
			list = append(list, badSecond{at: int64(t.Hour()*60*60 + t.Minute()*60 + t.Second()), daily: true})
			continue
		}
		t, err := time.Parse(timeLayout, text)
		if err != nil {
			return nil, errors.New("it is not " + badSecondsValue)
		}
		list = append(list, badSecond{at: t.Unix()})
	}
	return list, nil
}

// covers reports whether the query's range holds the second.
func (b badSecond) covers(f *faulter, q query) bool {
	if !b.daily {
		return f.covers(q, b.at)
	}
	const day = 24 * 60 * 60
	midnight := q.Begin - q.Begin%day
	// A range in which neither of the two lies is too short for a later one.
	return f.covers(q, midnight+b.at) || f.covers(q, midnight+day+b.at)
}

var (
	errTooOld    = invalid("the beginning is before the oldest record")
	errTooWide   = invalid("the time range is too wide")
	errTooLate   = &refusal{status: http.StatusGatewayTimeout, code: "APIGW.0201", message: "backend timeout"}
	errTooDeep   = invalid("the offset is too large")
	errBadSecond = invalid("the records of this time cannot be queried")
	errBadPage   = &refusal{status: http.StatusInternalServerError, code: "FSS.0500", message: "the page cannot be read"}
)

// limit is the refusal of a query that the limits do not allow, or nil.
func (f *faulter) limit(q query) error {
	switch tooDeep := f.ceiling > 0 && q.Marker >= f.ceiling; {
	case !f.limited[q.Function]:
	case f.widest > 0 && q.End-q.Begin > int64(f.widest/time.Second):
		if f.rangeStatus == "504" {
			return errTooLate
		}
		return errTooWide
	case f.keepsAnswer == "refuse" && q.Begin < f.oldest(q):
		return errTooOld
	case f.beyond == "400" && tooDeep, f.beyond == "400-page" && f.ceiling > 0 && q.Marker+q.Limit > f.ceiling:
		return errTooDeep
	case slices.ContainsFunc(f.badSeconds, func(b badSecond) bool { return b.covers(f, q) }):
		return errBadSecond
	}
	return nil
}

// oldest is the time of the oldest record that is kept, in seconds since the epoch.
func (f *faulter) oldest(q query) int64 {
	if f.keeps == 0 || !f.limited[q.Function] {
		return -1 << 40 // some 30,000 years ago
	}
	return q.Now - int64(f.keeps/time.Second)
}

// clip cuts a list off at the ceiling and returns what it counts.
func (f *faulter) clip(function int, items []item) (clipped []item, count int) {
	count = len(items)
	if f.ceiling == 0 || !f.limited[function] {
		return items, count
	}
	clipped = items[:min(count, f.ceiling)]
	if f.ceilingCount == "clipped" {
		count = len(clipped)
	}
	return clipped, count
}

// spoilt is the refusal of a page that cannot be answered, or nil. The page begins
// at the query's marker.
func (f *faulter) spoilt(q query, items []item, body []byte) error {
	isBad := func(i item) bool { return i.draw.of(drawBad).share() < f.badRecords }
	switch last := q.Marker + len(items); {
	case !f.limited[q.Function]:
	case f.pageBytes > 0 && len(body) > f.pageBytes,
		f.badOffset > 0 && q.Marker <= f.badOffset && f.badOffset < last,
		slices.ContainsFunc(items, isBad):
		return errBadPage
	}
	return nil
}

// pay waits as long as a page of so many records takes. The error is the client's end.
func (s *Server) pay(c call, q query, records int) error {
	if s.faults.recordCost == 0 || !s.faults.limited[q.Function] {
		return nil
	}
	return s.options.Sleep(c.request.Context(), time.Duration(records)*s.faults.recordCost)
}
