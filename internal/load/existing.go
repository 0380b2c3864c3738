package load

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// An existing row is a stored row.
type existing struct {
	row
	inFlight bool
}

// existingRows are the rows that were found, by request id.
type existingRows map[string][]existing

const existingColumns = `
	first_archived_at, updated_at, start_time, end_time, queried_window, function_id,
	request_id, status, COALESCE(source_status, ''), COALESCE(error_code, ''), COALESCE(error_message, ''), extra`

// A request id can be in three places: in flight, settled without a start, and
// settled on a day. The first two tables are small, and asked for every id.
const (
	selectUndated = `
		SELECT ` + existingColumns + `, true FROM invocations_in_flight WHERE request_id = ANY ($1)
		UNION ALL
		SELECT ` + existingColumns + `, false FROM invocations_undated WHERE request_id = ANY ($1)`
	selectDated = `
		SELECT ` + existingColumns + `, false FROM invocations_dated
		 WHERE request_id = ANY ($1) AND start_time >= $2 AND start_time < $3`
)

// Planning takes longer than running the statements of a page, and gives most
// of them the same plan each time: these have a generic plan. A statement that
// asks days by their time is planned with its times, so that it does not touch
// the other days. It uses the index on request_id: with 500 ids the planner
// prefers to read a day of up to some 100,000 rows from end to end, which takes
// three times as long.
const (
	genericPlans = `SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'on', true)`
	customPlans  = `SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'off', true)`
)

// queueLookups looks up the stored rows of the pages' request ids. Reading the batch
// adds them to found.
func queueLookups(batch *pgx.Batch, writes []*write, found existingRows) {
	n := 0
	for _, w := range writes {
		n += len(w.batch.Invocations)
	}
	ids := make([]string, 0, n)
	var dated []lookup
	for _, w := range writes {
		for i := range w.batch.Invocations {
			ids = append(ids, w.batch.Invocations[i].RequestID)
		}
		dated = append(dated, w.claim.known.lookups(w.batch, w.claim.sawForeignRows)...)
	}
	if len(ids) > 0 {
		batch.Queue(selectUndated, ids).Query(found.collect)
	}
	if len(dated) == 0 {
		return
	}
	batch.Queue(customPlans)
	for _, l := range dated {
		batch.Queue(selectDated, l.ids, l.on.From, l.on.To).Query(found.collect)
	}
	batch.Queue(genericPlans)
}

// collect adds rows. Two lookups may give the same row.
func (e existingRows) collect(rows pgx.Rows) error {
	for rows.Next() {
		var r existing
		if err := scanRow(rows, &r); err != nil {
			return err
		}
		if !slices.ContainsFunc(e[r.requestID], r.isSameRow) {
			e[r.requestID] = append(e[r.requestID], r)
		}
	}
	return rows.Err()
}

// isSameRow reports whether o, with the same request id, lies in the same place.
func (r *existing) isSameRow(o existing) bool {
	return r.inFlight == o.inFlight && r.start.Equal(o.start)
}

func scanRow(rows pgx.Rows, e *existing) error {
	var start, end, queried *time.Time
	r := &e.row
	err := rows.Scan(&r.firstArchived, &r.updated, &start, &end, &queried, &r.functionID,
		&r.requestID, &r.status, &r.sourceStatus, &r.errorCode, &r.errorMessage, &r.extra, &e.inFlight)
	if err != nil {
		return err
	}
	r.start, r.end, r.queried = pg.OrZero(start), pg.OrZero(end), pg.OrZero(queried)
	return nil
}

// queueRemoval deletes the stored rows of ids that are replaced, each from the
// partition in which it was found.
func (e existingRows) queueRemoval(batch *pgx.Batch, ids []string) {
	var on archive.Span
	for _, id := range ids {
		for i := range e[id] {
			if start := e[id][i].start; !start.IsZero() {
				on = cover(on, archive.Span{From: start, To: start})
			}
		}
	}
	batch.Queue(`DELETE FROM invocations_in_flight WHERE request_id = ANY ($1)`, ids)
	batch.Queue(`DELETE FROM invocations_undated WHERE request_id = ANY ($1)`, ids)
	if on.To.IsZero() {
		return
	}
	batch.Queue(customPlans)
	batch.Queue(`
		DELETE FROM invocations_dated
		 WHERE request_id = ANY ($1) AND start_time BETWEEN $2 AND $3`, ids, on.From, on.To)
	batch.Queue(genericPlans)
}
