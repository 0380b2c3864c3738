package load

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

const (
	dayLength = 24 * time.Hour

	// maxKnownIDs bounds the ids that a claim remembers, about 8 bytes each. With
	// 400,000, the peak memory of a window of 300,000 records grew by 6 MiB.
	maxKnownIDs = 100_000
)

// An idHash stands for a request id. Two ids with the same hash cost a needless
// lookup: with 100,000 known ids, one new id in 40,000 has the hash of a known id.
type idHash uint32

var idSeed = maphash.MakeSeed()

func hashID(id string) idHash { return idHash(maphash.String(idSeed, id)) }

// knownRows is what a claim knows of the settled rows of its function, so that
// a page's request ids are looked up only on days that can have them. Looking
// up 500 ids on the nine days within life takes longer than writing them, and on
// a first load it finds nothing.
//
// knownRows stays right as long as the claim is held: only the claim's worker writes
// rows of the function. knownRows does not know the rows of other functions with the
// same request ids. If such a row lies on the same day, the day's unique index refuses
// the second row, and the commit is retried with all ids looked up on all days within
// life (see claim.sawForeignRows). If it lies on another day, it is found when the
// other function reads its record again.
type knownRows struct {
	// life is how far apart the starts of two versions of one record can be. Stored
	// versions of a record are looked up on the days within life.
	life time.Duration
	days map[time.Time]*knownDay // days with rows
	n    int                     // ids on all days
}

// A knownDay is what a claim knows of one day.
type knownDay struct {
	ids map[idHash]struct{} // of all its rows; nil if unknown: then pages look up their ids

	rows  int // at most, if ids are unknown
	asked int // ids that were looked up since
}

// startsOf is the time from the first to the last start in the page. A record without
// a start can have started anywhere in the span of the walk.
func startsOf(b *archive.Batch) (starts archive.Span) {
	for i := range b.Invocations {
		if start := b.Invocations[i].Start; start.IsZero() {
			starts = cover(starts, b.Walk.Span)
		} else {
			starts = cover(starts, archive.Span{From: start, To: start})
		}
	}
	return starts
}

// daysAround are the whole days on which versions of the records of a page can lie.
func (k *knownRows) daysAround(b *archive.Batch) archive.Span {
	starts := startsOf(b)
	return archive.Span{From: wholeDay(starts.From.Add(-k.life)).From, To: wholeDay(starts.To.Add(k.life)).To}
}

// cover is the smallest span that holds both. A zero span holds nothing.
func cover(a, b archive.Span) archive.Span {
	if a.From.IsZero() || !b.From.IsZero() && b.From.Before(a.From) {
		a.From = b.From
	}
	if b.To.After(a.To) {
		a.To = b.To
	}
	return a
}

// wholeDay is the UTC day of a time.
func wholeDay(t time.Time) archive.Span {
	from := t.UTC().Truncate(dayLength)
	return archive.Span{From: from, To: from.Add(dayLength)}
}

func isEmpty(s archive.Span) bool { return !s.From.Before(s.To) }

// add notes rows that a commit wrote. Rows that the commit removed stay known:
// an id that is looked up and not found does no harm.
func (k *knownRows) add(rows []*row) {
	var on archive.Span // the day of the row before
	var day *knownDay
	for _, r := range rows {
		if r.start.IsZero() {
			continue
		}
		if !on.Holds(r.start) {
			on = wholeDay(r.start)
			if day = k.days[on.From]; day == nil {
				day = &knownDay{ids: make(map[idHash]struct{})}
				k.days[on.From] = day
			}
		}
		if day.ids != nil {
			k.n -= len(day.ids)
			day.ids[hashID(r.requestID)] = struct{}{}
			k.n += len(day.ids)
		}
	}
	for k.n > maxKnownIDs {
		k.forgetDay(on.From)
	}
}

// forgetDay forgets the ids of the day that has the most. Days that are too far from
// the current day for its pages to look up go first.
func (k *knownRows) forgetDay(current time.Time) {
	var day *knownDay
	most := -1
	for d, other := range k.days {
		n := len(other.ids)
		if d.Sub(current).Abs() > k.life+dayLength {
			n += maxKnownIDs
		}
		if other.ids != nil && n > most {
			day, most = other, n
		}
	}
	k.n -= len(day.ids)
	*day = knownDay{rows: len(day.ids)}
}

// doubt notes that a commit failed, and may or may not have stored its rows. As long as
// the claim is held, pages look up their ids on the days of these rows.
func (k *knownRows) doubt(b *archive.Batch) {
	for i := range b.Invocations {
		start := b.Invocations[i].Start
		if start.IsZero() {
			continue
		}
		d := wholeDay(start).From
		if day := k.days[d]; day != nil {
			k.n -= len(day.ids)
		}
		k.days[d] = &knownDay{rows: maxKnownIDs + 1}
	}
}

// worthReading are the days of which all ids should be read now: with this page, as
// many ids would have been looked up on the day as the day has rows. From then on,
// reading all ids of the day costs less than further lookups.
func (k *knownRows) worthReading(b *archive.Batch) (days []time.Time) {
	around, n := k.daysAround(b), k.n
	for d, day := range k.days {
		if around.Holds(d) && day.ids == nil && day.rows <= day.asked+len(b.Invocations) && n+day.rows <= maxKnownIDs {
			days = append(days, d)
			n += day.rows
		}
	}
	return days
}

const selectIDs = `
	SELECT request_id
	  FROM invocations_dated
	 WHERE function_id = $1 AND start_time >= $2 AND start_time < $3`

// readDays reads the ids of the days that are worth reading.
func (c *claim) readDays(ctx context.Context, conn *pgx.Conn, b *archive.Batch) error {
	var batch pgx.Batch
	for _, d := range c.known.worthReading(b) {
		batch.Queue(selectIDs, c.function.ID, d, d.Add(dayLength)).Query(func(rows pgx.Rows) error {
			ids := make(map[idHash]struct{})
			var id string
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				ids[hashID(id)] = struct{}{}
				return nil
			})
			if err != nil {
				return err
			}
			c.known.days[d] = &knownDay{ids: ids}
			c.known.n += len(ids)
			return nil
		})
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("read the request ids of %d days: %w", batch.Len(), err)
	}
	return nil
}

// A lookup looks up ids on the days of a span.
type lookup struct {
	ids []string
	on  archive.Span
}

// lookups are the lookups in the days' tables that a page needs. Records in flight or
// without a start are few, and are looked up on all days within life. If everywhere
// is set, all records are.
func (k *knownRows) lookups(b *archive.Batch, everywhere bool) []lookup {
	around := k.daysAround(b)
	var unknown, known archive.Span
	var knownIDs []map[idHash]struct{}
	for d, day := range k.days {
		switch {
		case !around.Holds(d):
		case day.ids == nil:
			unknown = cover(unknown, wholeDay(d))
			day.asked += len(b.Invocations)
		default:
			known = cover(known, wholeDay(d))
			knownIDs = append(knownIDs, day.ids)
		}
	}
	var loose, dated, seen []string
	if !isEmpty(unknown) {
		dated = make([]string, 0, len(b.Invocations))
	}
	for i := range b.Invocations {
		inv := &b.Invocations[i]
		if everywhere || inv.InFlight() || inv.Start.IsZero() {
			loose = append(loose, inv.RequestID)
			continue
		}
		if !isEmpty(unknown) {
			dated = append(dated, inv.RequestID)
		}
		hash := hashID(inv.RequestID)
		if slices.ContainsFunc(knownIDs, func(ids map[idHash]struct{}) bool { _, ok := ids[hash]; return ok }) {
			seen = append(seen, inv.RequestID)
		}
	}
	var all []lookup
	for _, l := range []lookup{{loose, around}, {dated, unknown}, {seen, known}} {
		if len(l.ids) > 0 && !isEmpty(l.on) {
			all = append(all, l)
		}
	}
	return all
}
