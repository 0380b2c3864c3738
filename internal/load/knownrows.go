package load

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// maxLife is how far apart the starts of two versions of one record can be. A
// stored version of a record is looked for on the days within maxLife.
const maxLife = archive.MaxLife

const (
	dayLength = 24 * time.Hour

	// maxKnownIDs bounds the ids that a claim remembers, about 8 bytes each. A
	// claim with more forgets them, and its pages ask for their ids on those
	// days. With 400,000, the peak memory of a window of 300,000 records grew
	// by 6 MiB.
	maxKnownIDs = 100_000
)

// An idHash stands for a request id. Two ids with the same hash cost a needless
// lookup: of 100,000 ids, one in
// 40,000 others has the hash of one of them.
type idHash uint32

var idSeed = maphash.MakeSeed()

func hashID(id string) idHash { return idHash(maphash.String(idSeed, id)) }

// knownRows is what a claim knows of the settled rows of its function, so that
// a page's request ids are looked up only on days that can have them. Looking
// up 500 ids on the nine days within maxLife takes five times as long as
// writing them, and on a first load it finds nothing.
//
// The knowledge holds as long as the claim: only the claim's worker writes rows
// of the function. A row under the same request id that another function
// brought in is not known. On the same day the day's unique index refuses the
// second row; then the commit is retried with every id looked up everywhere
// (see claim.sawForeignRows). On another day the row is found when the function
// that brought it in reads it again.
type knownRows struct {
	unread map[time.Time]unreadDay // days with rows whose ids are not in ids
	ids    map[idHash]struct{}     // hashes of the request ids on the other days
	read   archive.Span            // from the first to the last day of ids
}

// An unreadDay is a day whose rows are asked for by their ids.
type unreadDay struct {
	rows  int // at most
	asked int // ids that were looked up in it
}

// startsOf is the time from the first to the last start in the page. A record
// without a start lies somewhere in the span that was asked for.
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

// daysAround are the whole days on which versions of records that start within
// the span can lie.
func daysAround(starts archive.Span) archive.Span {
	return archive.Span{From: wholeDay(starts.From.Add(-maxLife)).From, To: wholeDay(starts.To.Add(maxLife)).To}
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

// common is what two spans share, empty where that is nothing.
func common(a, b archive.Span) archive.Span {
	if b.From.After(a.From) {
		a.From = b.From
	}
	if b.To.Before(a.To) {
		a.To = b.To
	}
	if !a.From.Before(a.To) {
		return archive.Span{}
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
	var last archive.Span // the day of the row before
	unread := false
	for _, r := range rows {
		if r.start.IsZero() {
			continue
		}
		if !last.Holds(r.start) {
			last = wholeDay(r.start)
			_, unread = k.unread[last.From]
		}
		if !unread {
			k.addID(last, r.requestID)
		}
	}
	if len(k.ids) > maxKnownIDs {
		for d := k.read.From; d.Before(k.read.To); d = d.Add(dayLength) {
			k.markUnread(d)
		}
		k.ids, k.read = nil, archive.Span{}
	}
}

// markUnread makes pages ask for their ids on a day for as long as the claim lasts.
func (k *knownRows) markUnread(d time.Time) { k.unread[d] = unreadDay{rows: maxKnownIDs + 1} }

func (k *knownRows) addID(on archive.Span, id string) {
	if k.ids == nil {
		k.ids = make(map[idHash]struct{})
	}
	k.ids[hashID(id)] = struct{}{}
	k.read = cover(k.read, on)
}

// doubt notes that a commit failed: its rows may be there or not.
func (k *knownRows) doubt(b *archive.Batch) {
	for i := range b.Invocations {
		if start := b.Invocations[i].Start; !start.IsZero() {
			k.markUnread(wholeDay(start).From)
		}
	}
}

// worthReading are the days that a page would ask for its ids, after which as many
// ids would have been asked for as the day has rows. From there on, to read the
// ids of the day costs less than to go on asking.
func (k *knownRows) worthReading(b *archive.Batch) (days []time.Time) {
	around, n := daysAround(startsOf(b)), len(k.ids)
	for d, u := range k.unread {
		if around.Holds(d) && u.rows <= u.asked+len(b.Invocations) && n+u.rows <= maxKnownIDs {
			days = append(days, d)
			n += u.rows
		}
	}
	return days
}

const selectIDs = `
	SELECT request_id
	  FROM archiver_days.invocations_dated
	 WHERE function_id = $1 AND start_time >= $2 AND start_time < $3`

// readDays reads the ids of days where that pays.
func (c *claim) readDays(ctx context.Context, conn *pgx.Conn, b *archive.Batch) error {
	var batch pgx.Batch
	for _, d := range c.known.worthReading(b) {
		batch.Queue(selectIDs, c.function.ID, d, d.Add(dayLength)).Query(func(rows pgx.Rows) error {
			delete(c.known.unread, d)
			var id string
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				c.known.addID(wholeDay(d), id)
				return nil
			})
			if err != nil {
				c.known.markUnread(d)
			}
			return err
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

// A lookup asks for ids on the days of a span.
type lookup struct {
	ids []string
	on  archive.Span
}

// lookups are where to look for stored versions of a page's records on the days
// of settled rows. Records in flight or without a start are few, and looked for
// on all days within maxLife; so is every record if everywhere is set.
func (k *knownRows) lookups(b *archive.Batch, everywhere bool) []lookup {
	around := daysAround(startsOf(b))
	var unread archive.Span
	for d, u := range k.unread {
		if around.Holds(d) {
			unread = cover(unread, wholeDay(d))
			k.unread[d] = unreadDay{u.rows, u.asked + len(b.Invocations)}
		}
	}
	var loose, dated, seen []string
	for i := range b.Invocations {
		inv := &b.Invocations[i]
		if everywhere || inv.InFlight() || inv.Start.IsZero() {
			loose = append(loose, inv.RequestID)
			continue
		}
		if !isEmpty(unread) {
			dated = append(dated, inv.RequestID)
		}
		if len(k.ids) > 0 {
			if _, ok := k.ids[hashID(inv.RequestID)]; ok {
				seen = append(seen, inv.RequestID)
			}
		}
	}
	var all []lookup
	for _, l := range []lookup{{loose, around}, {dated, unread}, {seen, common(k.read, around)}} {
		if len(l.ids) > 0 && !isEmpty(l.on) {
			all = append(all, l)
		}
	}
	return all
}
