package load

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// maxRejected is about how many bytes of rejected records are sent at once: sending them
// copies them several times.
const maxRejected = 4 << 20

// keepRejected sends a batch with the rejected records of all writes, if there are any, and
// empties it. The answer tells which of the records are new: their windows count them.
func (t *transaction) keepRejected(ctx context.Context, batch *pgx.Batch) error {
	queued, unsent := 0, false
	send := func() error {
		err := t.conn.SendBatch(ctx, batch).Close()
		*batch, queued, unsent = pgx.Batch{}, 0, false
		return err
	}
	for _, w := range t.writes {
		for rest := w.batch.Rejected; len(rest) > 0; {
			n := 0
			for ; n < len(rest) && queued < maxRejected; n++ {
				queued += len(rest[n].Payload)
			}
			w.queueRejected(batch, rest[:n], &t.windows)
			rest, unsent = rest[n:], true
			if queued < maxRejected {
				continue
			}
			if err := send(); err != nil {
				return err
			}
		}
	}
	if !unsent {
		return nil
	}
	return send()
}

// queueRejected keeps records that no row can hold, each once, however often it is read.
// Payloads are kept as text.
func (w *write) queueRejected(batch *pgx.Batch, rejected []archive.Rejected, changes *windowChanges) {
	b, n := w.batch, len(rejected)
	windows, reasons, payloads := make([]time.Time, n), make([]string, n), make([]string, n)
	for i := range rejected {
		r := &rejected[i]
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
