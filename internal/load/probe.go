package load

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// maxLife is how far from its start a settled record's earlier self is looked
// for: one that was kept with another start must lie within.
const maxLife = archive.MaxLife

// An existing row is one that the archive has, with where it lies.
type existing struct {
	row
	inFlight bool
}

// existingRows are those found, by request id.
type existingRows map[string][]existing

// any reports whether some are of the batch.
func (e existingRows) any(b *archive.Batch) bool {
	return slices.ContainsFunc(b.Invocations, func(inv archive.Invocation) bool { return len(e[inv.RequestID]) > 0 })
}

const probeColumns = `
	first_archived_at, updated_at, start_time, end_time, queried_window, function_id,
	request_id, status, source_status, error_code, error_message, extra`

// The three places where a request id can be. Those without a day are few, and
// asked for every id. Times are constants of the plan, so that days outside of
// them are not even looked at.
const (
	probeUnsettled = `
		SELECT ` + probeColumns + `, true FROM archiver_days.invocations_in_flight WHERE request_id = ANY ($1)
		UNION ALL
		SELECT ` + probeColumns + `, false FROM archiver_days.invocations_undated WHERE request_id = ANY ($1)`
	probeDated = `
		SELECT ` + probeColumns + `, false FROM archiver_days.invocations_dated
		 WHERE request_id = ANY ($1) AND start_time >= $2 AND start_time < $3`
)

// A probe looks up what the archive has of the request ids of some writes.
type probe struct {
	ids   []string // of all of them
	parts []*part
	found existingRows
}

// A part of a probe is one write's.
type part struct {
	*write
	loose   []string // ids of records in flight or without a start: few, and looked for anywhere
	ids     []string // the others
	days    []dayKey // on which they can be
	missing []dayKey // of these, days that are to be counted first
	asked   bool     // all is
}

func newProbe(writes []*write) *probe {
	p := &probe{found: make(existingRows)}
	n := 0
	for _, w := range writes {
		n += len(w.batch.Invocations)
	}
	p.ids = make([]string, 0, n)
	for _, w := range writes {
		begin := len(p.ids)
		part := &part{write: w}
		for i := range w.batch.Invocations {
			if inv := &w.batch.Invocations[i]; inv.InFlight() || inv.Start.IsZero() || w.claim.wary {
				part.loose = append(part.loose, inv.RequestID)
			} else {
				p.ids = append(p.ids, inv.RequestID)
			}
		}
		part.ids = p.ids[begin:len(p.ids):len(p.ids)]
		p.ids = append(p.ids, part.loose...)
		if len(p.ids) > begin {
			part.days = daysOf(w.batch)
			part.missing = w.claim.past.missing(part.days)
			p.parts = append(p.parts, part)
		}
	}
	return p
}

// queue adds to the batch all that can be asked for now. It reports whether
// days are asked: where they are not, they have nothing of the pages.
func (p *probe) queue(batch *pgx.Batch) (asked bool) {
	if len(p.ids) > 0 {
		batch.Queue(probeUnsettled, p.ids).Query(p.collect)
	}
	return p.askAll(batch)
}

// askAll adds the next questions of all writes, and reports whether there are any.
func (p *probe) askAll(batch *pgx.Batch) bool {
	var questions pgx.Batch
	for _, w := range p.parts {
		p.ask(&questions, w)
	}
	if questions.Len() > 0 {
		batch.Queue(planAlways)
		batch.QueuedQueries = append(batch.QueuedQueries, questions.QueuedQueries...)
		batch.Queue(planOnce)
	}
	return questions.Len() > 0
}

// finish asks for the rest: a claim's first page waits for how many rows each
// day has, and one now and then for the ids of a day.
func (p *probe) finish(ctx context.Context, conn *pgx.Conn) error {
	for {
		var batch pgx.Batch
		p.askAll(&batch)
		if batch.Len() == 0 {
			return nil
		}
		if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("look up %d request ids: %w", len(p.ids), err)
		}
	}
}

// ask adds the next questions of one write.
func (p *probe) ask(batch *pgx.Batch, w *part) {
	if w.asked {
		return
	}
	known, function := w.claim.past, w.claim.function.ID
	if len(w.missing) > 0 {
		known.queueCount(batch, function, w.missing)
		w.missing = nil
		return
	}
	s := known.search(w.ids, w.days)
	if len(s.load) > 0 {
		for _, d := range s.load {
			known.queueLoad(batch, function, d)
		}
		return
	}
	w.asked = true
	known.asked(s, len(w.ids))
	if len(w.loose) > 0 {
		for from, to := range runs(w.days) {
			batch.Queue(probeDated, w.loose, from.start(), to.start()).Query(p.collect)
		}
	}
	for from, to := range runs(s.all) {
		batch.Queue(probeDated, w.ids, from.start(), to.start()).Query(p.collect)
	}
	for from, to := range runs(slices.Sorted(maps.Keys(s.some))) {
		var ids []string
		for d := from; d < to; d++ {
			ids = append(ids, s.some[d]...)
		}
		batch.Queue(probeDated, ids, from.start(), to.start()).Query(p.collect)
	}
}

// runs are the days, in order, as [from, to) of those next to one another: each
// is asked in one statement.
func runs(days []dayKey) iter.Seq2[dayKey, dayKey] {
	return func(yield func(dayKey, dayKey) bool) {
		for i := 0; i < len(days); {
			j := i + 1
			for j < len(days) && days[j] == days[j-1]+1 {
				j++
			}
			if !yield(days[i], days[j-1]+1) {
				return
			}
			i = j
		}
	}
}

func (p *probe) collect(rows pgx.Rows) error {
	for rows.Next() {
		var e existing
		if err := scanRow(rows, &e); err != nil {
			return err
		}
		p.found[e.requestID] = append(p.found[e.requestID], e)
	}
	return rows.Err()
}

func scanRow(rows pgx.Rows, e *existing) error {
	var start, end, queried *time.Time
	var sourceStatus, code, message *string
	r := &e.row
	err := rows.Scan(&r.firstArchived, &r.updated, &start, &end, &queried, &r.functionID,
		&r.requestID, &r.status, &sourceStatus, &code, &message, &r.extra, &e.inFlight)
	if err != nil {
		return err
	}
	r.start, r.end, r.queried = pg.OrZero(start), pg.OrZero(end), pg.OrZero(queried)
	r.sourceStatus, r.errorCode, r.errorMessage = pg.OrEmpty(sourceStatus), pg.OrEmpty(code), pg.OrEmpty(message)
	return nil
}
