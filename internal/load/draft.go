package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// A draft is what writes of one transaction make of the archive, together.
type draft struct {
	writes   []*write
	found    existingRows // what the archive has of them
	rows     []*row       // to be written
	replaced []string     // request ids whose rows make way for them
	windows  windowChanges
	prepared bool // all but the rows is written, or on its way
}

// newDraft classifies the pages.
func newDraft(writes []*write, found existingRows) *draft {
	d := &draft{writes: writes, found: found}
	for _, w := range writes {
		w.changes = classify(w.claim.function.ID, w.batch, found, &d.windows)
		d.rows = append(d.rows, w.changes.write...)
		d.replaced = append(d.replaced, w.changes.replace...)
		if w.checkpoint {
			w.claim.note(&d.windows, w.batch)
		}
	}
	return d
}

// plain reports whether the draft, made as if nothing is there, will do: it is
// of rows alone, of claims that have not met with anything else.
func (d *draft) plain() bool {
	return len(d.rows) > 0 && !slices.ContainsFunc(d.writes, func(w *write) bool {
		return w.claim.doubtful || len(w.batch.Rejected) > 0
	})
}

// sort brings rows into the order in which they are written everywhere: two
// transactions that meet in an index then wait for each other, and never both
// ways.
func (d *draft) sort() {
	slices.SortFunc(d.rows, func(a, b *row) int { return strings.Compare(a.requestID, b.requestID) })
}

// errTwice says that two pages of one transaction hold the same new record.
var errTwice = errors.New("two functions give one request id at the same moment")

// lock takes the totals of all functions whose windows the draft writes, and
// notes the windows whose figures are due for it.
func (d *draft) lock(batch *pgx.Batch) {
	var functions []int32
	for key := range d.windows.of {
		if !slices.Contains(functions, key.functionID) {
			functions = append(functions, key.functionID)
		}
	}
	for _, w := range d.writes {
		if id := w.claim.function.ID; len(w.batch.Rejected) > 0 && !slices.Contains(functions, id) {
			functions = append(functions, id)
		}
	}
	if len(functions) > 0 {
		due := d.windows.due()
		batch.Queue(figures.NoteDue+pg.LockTotals, functions, due.Functions, due.Windows)
	}
}

// checkpoints writes how far the walks are, and what that makes of windows.
func (d *draft) checkpoints(batch *pgx.Batch) {
	d.windows.queue(batch)
	queueWalks(batch, d.writes)
	queueStrays(batch, d.writes)
}

// prepare writes all but the rows. Where there are none, it commits.
func (d *draft) prepare(ctx context.Context, conn *pgx.Conn) error {
	var batch pgx.Batch
	d.lock(&batch)
	if len(d.replaced) > 0 {
		d.remove(&batch)
	}
	if slices.ContainsFunc(d.writes, func(w *write) bool { return len(w.batch.Rejected) > 0 }) {
		for _, w := range d.writes {
			w.reject(&batch, &d.windows)
		}
		// What of it is new counts into the windows.
		if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("keep rejected records: %w", err)
		}
		batch = pgx.Batch{}
	}
	d.checkpoints(&batch)
	if len(d.rows) == 0 {
		batch.Queue(`COMMIT`)
	}
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("keep the checkpoints of %d pages with %d rows: %w", len(d.writes), len(d.rows), err)
	}
	return nil
}

// remove deletes the rows that make way for their newer selves, each from the
// partition in which it was found.
func (d *draft) remove(batch *pgx.Batch) {
	ids, found := d.replaced, d.found
	var from, to = found[ids[0]][0].start, found[ids[0]][0].start
	for _, id := range ids {
		for i := range found[id] {
			if t := found[id][i].start; !t.IsZero() {
				if from.IsZero() || t.Before(from) {
					from = t
				}
				if t.After(to) {
					to = t
				}
			}
		}
	}
	batch.Queue(`DELETE FROM archiver_days.invocations_in_flight WHERE request_id = ANY ($1)`, ids)
	batch.Queue(`DELETE FROM archiver_days.invocations_undated WHERE request_id = ANY ($1)`, ids)
	if !from.IsZero() {
		batch.Queue(planAlways)
		batch.Queue(`
			DELETE FROM archiver_days.invocations_dated
			 WHERE request_id = ANY ($1) AND start_time BETWEEN $2 AND $3`, ids, from, to)
		batch.Queue(planOnce)
	}
}

// reject keeps aside what no row can hold, once however often it is read.
// Payloads are kept as text.
func (w *write) reject(batch *pgx.Batch, changes *windowChanges) {
	b := w.batch
	n := len(b.Rejected)
	if n == 0 {
		return
	}
	windows, reasons, payloads := make([]time.Time, n), make([]string, n), make([]string, n)
	for i := range b.Rejected {
		r := &b.Rejected[i]
		windows[i] = b.Walk.Span.WindowOf(r.Start)
		reasons[i], payloads[i] = pg.Storable(r.Reason), pg.Storable(string(r.Payload))
	}
	batch.Queue(`
		INSERT INTO rejected_records (function_id, window_start, reason, payload, rejected_at)
		SELECT $1, r.window_start, r.reason, r.payload, $5
		  FROM unnest($2::timestamptz[], $3::text[], $4::text[]) AS r (window_start, reason, payload)
		    ON CONFLICT (function_id, md5(payload)) DO NOTHING
		RETURNING window_start`,
		w.claim.function.ID, windows, reasons, payloads, b.At).Query(func(rows pgx.Rows) error {
		var window time.Time
		_, err := pgx.ForEachRow(rows, []any{&window}, func() error {
			w.changes.kept.Rejected++
			changes.at(w.claim.function.ID, window, b.At).rejected++
			return nil
		})
		return err
	})
}
