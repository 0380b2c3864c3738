package load

import (
	"slices"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// A past is what a claim knows of the settled rows that its function has on
// each day, so that a page is looked up only where an earlier self of its
// records can be. Looking up 500 ids on the nine days that a life reaches takes
// five times as long as writing them, and on a first load none is there.
//
// What it knows holds for as long as the claim does, for a function's rows are
// written under its claim alone. A row that another function brought in under
// the same request id is not of it: on the same day that day's unique index
// refuses the second one, and the commit is made again with everything looked
// up, as all later ones of the claim (see claim.wary). On another day it is
// found once the function that has it reads it again. Records in flight or
// without a start, few as they are, are looked up everywhere.
type past map[dayKey]*pastDay

// A dayKey counts UTC days since 1970.
type dayKey int64

func dayOf(t time.Time) dayKey {
	const length = 24 * 60 * 60
	n := t.Unix()
	if n < 0 {
		n -= length - 1
	}
	return dayKey(n / length)
}

func (d dayKey) start() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// A pastDay is what is known of one day.
type pastDay struct {
	rows  int  // at most
	asked int  // request ids looked up in it while its ids were not known
	ids   *ids // of its rows; nil where they are not known
}

// maxPast bounds how many days a past keeps: more than one span reaches, so
// that walking one after the other asks for each day once.
const maxPast = 64

// lifeDays is how many days before and after its own a record can have been.
const lifeDays = dayKey(maxLife / (24 * time.Hour))

// daysOf are the days on which records of the batch can have been before, in
// order. One without a start was somewhere about what was asked for.
func daysOf(b *archive.Batch) []dayKey {
	touched := make(map[dayKey]struct{}, 2)
	var last dayKey
	note := func(t time.Time) {
		if d := dayOf(t); d != last || len(touched) == 0 {
			last = d
			touched[d] = struct{}{}
		}
	}
	for i := range b.Invocations {
		inv := &b.Invocations[i]
		if !inv.Start.IsZero() {
			note(inv.Start)
			continue
		}
		for t := b.Walk.Span.From; t.Before(b.Walk.Span.To); t = t.Add(archive.Hour) {
			note(t)
		}
	}
	within := make(map[dayKey]struct{}, 2*lifeDays+2)
	for d := range touched {
		for n := d - lifeDays; n <= d+lifeDays; n++ {
			within[n] = struct{}{}
		}
	}
	days := make([]dayKey, 0, len(within))
	for d := range within {
		days = append(days, d)
	}
	slices.Sort(days)
	return days
}

// missing are those of the days that have not been counted yet. Days far from
// all of them make room.
func (p *past) missing(days []dayKey) (missing []dayKey) {
	if *p == nil {
		*p = make(past, len(days))
	}
	for _, d := range days {
		if (*p)[d] == nil {
			missing = append(missing, d)
		}
	}
	if len(days) > 0 && len(*p)+len(missing) > maxPast {
		for d := range *p {
			if d < days[0] || d > days[len(days)-1] {
				delete(*p, d)
			}
		}
	}
	return missing
}

// queueCount asks for how many rows the function has on days that are missing.
func (p past) queueCount(batch *pgx.Batch, functionID int32, missing []dayKey) {
	starts := make([]time.Time, len(missing))
	for i, d := range missing {
		starts[i] = d.start()
	}
	batch.Queue(`
		SELECT day, sum(records)
		  FROM unnest($2::timestamptz[]) AS day
		  JOIN archiver_internal.windows w
		    ON w.function_id = $1 AND w.window_start >= day AND w.window_start < day + interval '1 day'
		 WHERE records > 0
		 GROUP BY day`, functionID, starts).Query(func(rows pgx.Rows) error {
		for _, d := range missing {
			p[d] = &pastDay{ids: new(ids)}
		}
		var start time.Time
		var n int
		_, err := pgx.ForEachRow(rows, []any{&start, &n}, func() error {
			*p[dayOf(start)] = pastDay{rows: n}
			return nil
		})
		return err
	})
}

// A search is where a page's request ids are to be looked up.
type search struct {
	all  []dayKey            // every id on these days, in order
	some map[dayKey][]string // and these ids on these
	load []dayKey            // days of which to learn the ids first
}

// search decides where to look for a page. A day whose rows are not known one
// by one is asked directly, until as many ids were asked for as half of what
// it has: by then learning its ids costs less than to go on asking.
func (p past) search(requestIDs []string, days []dayKey) (s search) {
	if len(requestIDs) == 0 {
		return s
	}
	var hashed [][]uint64
	for _, d := range days {
		switch of := p[d]; {
		case of.ids == nil && of.asked+len(requestIDs) > of.rows/2:
			s.load = append(s.load, d)
		case of.ids == nil:
			s.all = append(s.all, d)
		case of.ids.n > 0:
			if hashed == nil {
				hashed = hashes(requestIDs)
			}
			for i, h := range hashed {
				if of.ids.has(h) {
					if s.some == nil {
						s.some = make(map[dayKey][]string)
					}
					s.some[d] = append(s.some[d], requestIDs[i])
				}
			}
		}
	}
	return s
}

// queueLoad asks for the ids of one day.
func (p past) queueLoad(batch *pgx.Batch, functionID int32, d dayKey) {
	batch.Queue(`
		SELECT request_id
		  FROM archiver_days.invocations_dated
		 WHERE function_id = $1 AND start_time >= $2 AND start_time < $3`,
		functionID, d.start(), (d + 1).start()).Query(func(rows pgx.Rows) error {
		loaded := &ids{least: p[d].rows}
		var id string
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			loaded.add(id)
			return nil
		})
		p[d].ids = loaded
		return err
	})
}

// asked notes that a page was looked up.
func (p past) asked(s search, n int) {
	for _, d := range s.all {
		p[d].asked += n
	}
}

// wrote notes rows that a commit has brought in. Those that it took away stay:
// what is known is where a row may be, not where it is.
func (p past) wrote(rows []*row) {
	for _, r := range rows {
		if of := p[dayOf(r.start)]; of != nil && !r.start.IsZero() {
			of.rows++
			if of.ids != nil {
				of.ids.add(r.requestID)
			}
		}
	}
}

// ids are request ids that may be there: a Bloom filter that grows. It says
// yes of one in some ten thousand that are not, which are then looked up in
// vain, and never no of one that is.
type ids struct {
	n, room int
	least   int // how many are expected
	layers  []*bloom.BloomFilter
}

const (
	idHashes = 6
	idBits   = 24 // of the filter, an id
)

// hashes are those by which ids are asked for.
func hashes(requestIDs []string) [][]uint64 {
	h := make([][]uint64, len(requestIDs))
	for i, id := range requestIDs {
		h[i] = bloom.Locations([]byte(id), idHashes)
	}
	return h
}

func (s *ids) add(id string) {
	if s.room == 0 {
		s.room = max(s.least, 4*s.n, 500)
		s.layers = append(s.layers, bloom.New(uint(idBits*s.room), idHashes))
	}
	s.layers[len(s.layers)-1].AddString(id)
	s.n++
	s.room--
}

func (s *ids) has(h []uint64) bool {
	for _, layer := range s.layers {
		if layer.TestLocations(h) {
			return true
		}
	}
	return false
}
