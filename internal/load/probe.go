package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// maxLife is how far from its start a settled record's earlier self is looked
// for: one that was kept with another start must lie within.
const maxLife = archive.MaxLife

// An existing row is one that the archive has, with where it lies.
type existing struct {
	row
	inFlight bool
}

const probeColumns = `
	first_archived_at, updated_at, start_time, end_time, queried_window, function_id,
	request_id, status, source_status, error_code, error_message, extra`

// The three places where a request id can be. Times are constants of the plan,
// so that days outside of them are not even looked at.
const (
	probeInFlight = `SELECT ` + probeColumns + ` FROM invocations_in_flight WHERE request_id = ANY ($1)`
	probeUndated  = `SELECT ` + probeColumns + ` FROM invocations_undated WHERE request_id = ANY ($1)`
	probeSettled  = `SELECT ` + probeColumns + ` FROM invocations_dated
		WHERE request_id = ANY ($1) AND start_time >= $2 AND start_time < $3`
)

// probe looks up what the archive has of a page's request ids.
func probe(ctx context.Context, tx pgx.Tx, b *archive.Batch) (map[string][]existing, error) {
	ids := make([]string, len(b.Invocations))
	from, to := b.Walk.Span.From, b.Walk.Span.To
	for i := range b.Invocations {
		inv := &b.Invocations[i]
		ids[i] = inv.RequestID
		if !inv.Start.IsZero() && inv.Start.Before(from) {
			from = inv.Start
		}
		if inv.Start.After(to) {
			to = inv.Start
		}
	}
	found := make(map[string][]existing)
	collect := func(inFlight bool) func(pgx.Rows) error {
		return func(rows pgx.Rows) error {
			for rows.Next() {
				e := existing{inFlight: inFlight}
				if err := scanRow(rows, &e.row); err != nil {
					return err
				}
				found[e.requestID] = append(found[e.requestID], e)
			}
			return rows.Err()
		}
	}
	var batch pgx.Batch
	batch.Queue(probeInFlight, ids).Query(collect(true))
	batch.Queue(probeUndated, ids).Query(collect(false))
	batch.Queue(probeSettled, ids, from.Add(-maxLife), to.Add(maxLife)).Query(collect(false))
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("look up %d request ids: %w", len(ids), err)
	}
	return found, nil
}

func scanRow(rows pgx.Rows, r *row) error {
	var start, end, queried *time.Time
	var sourceStatus, code, message *string
	err := rows.Scan(&r.firstArchived, &r.updated, &start, &end, &queried, &r.functionID,
		&r.requestID, &r.status, &sourceStatus, &code, &message, &r.extra)
	if err != nil {
		return err
	}
	r.start, r.end, r.queried = orZero(start), orZero(end), orZero(queried)
	r.sourceStatus, r.errorCode, r.errorMessage = orEmpty(sourceStatus), orEmpty(code), orEmpty(message)
	return nil
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
