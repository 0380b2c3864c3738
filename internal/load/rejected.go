package load

import (
	"time"

	"archiver/internal/load/pg"

	"github.com/jackc/pgx/v5"
)

// queueRejected keeps the records that no row can hold, each once, however often
// it is read. Payloads are kept as text.
func (w *write) queueRejected(batch *pgx.Batch, changes *windowChanges) {
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
