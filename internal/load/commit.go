package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
)

// maxTries is how often a commit is made again where another transaction got
// in between: two functions that give one request id at the same moment, or a
// day dropped under our hands.
const maxTries = 4

// Commit keeps one page and its checkpoint. A crash before its last line
// leaves neither: the next run asks for the page again.
func (c *claim) Commit(ctx context.Context, b archive.Batch) (archive.Kept, error) {
	kept, err := c.retried(ctx, &b, func(tx pgx.Tx) (archive.Kept, error) {
		changes, err := c.keep(ctx, tx, &b)
		if err != nil {
			return archive.Kept{}, err
		}
		switch {
		case b.Outcome != nil:
			changes.windows.decide(c.function.ID, b.Walk.Span, *b.Outcome, b.At)
		case !c.begun[b.Walk.Span]:
			changes.windows.begin(c.function.ID, b.Walk.Span)
		}
		if err := changes.windows.write(ctx, tx, b.At); err != nil {
			return archive.Kept{}, err
		}
		if b.Strays {
			_, err := tx.Exec(ctx, `UPDATE functions SET strays = true WHERE function_id = $1 AND NOT strays`, c.function.ID)
			if err != nil {
				return archive.Kept{}, fmt.Errorf("note that %s has strays: %w", c.function.Name, err)
			}
		}
		return changes.kept, c.checkpoint(ctx, tx, &b)
	})
	if err != nil {
		return archive.Kept{}, err
	}
	switch {
	case b.Outcome != nil, len(b.Pieces) > 0:
		delete(c.begun, b.Walk.Span)
		for _, s := range b.Pieces {
			c.begun[s] = true
		}
	default:
		c.begun[b.Walk.Span] = true
	}
	return kept, nil
}

// retried runs f in a fenced transaction, with the partitions of the batch
// made, and again where another transaction got in between.
func (c *claim) retried(ctx context.Context, b *archive.Batch, f func(tx pgx.Tx) (archive.Kept, error)) (kept archive.Kept, err error) {
	for try := 1; ; try++ {
		if err = c.store.ensure(ctx, b.Invocations); err != nil {
			return kept, err
		}
		err = c.fenced(ctx, func(tx pgx.Tx) error {
			if err := alone(ctx, tx, try > 1); err != nil {
				return err
			}
			kept, err = f(tx)
			return err
		})
		if err == nil || try == maxTries || !again(err) {
			return kept, err
		}
		c.store.forget()
	}
}

// commitLock is held by every commit, shared, and by one that is made again,
// alone: nothing gets in between a second time.
const commitLock = 0x61726368636f6d6d // "archcomm"

func alone(ctx context.Context, tx pgx.Tx, exclusive bool) error {
	lock := `SELECT pg_advisory_xact_lock_shared($1)`
	if exclusive {
		lock = `SELECT pg_advisory_xact_lock($1)`
	}
	if _, err := tx.Exec(ctx, lock, int64(commitLock)); err != nil {
		return fmt.Errorf("wait for other commits: %w", err)
	}
	return nil
}

// keep writes the rows of a page, and works out what that does to windows.
func (c *claim) keep(ctx context.Context, tx pgx.Tx, b *archive.Batch) (*changes, error) {
	var found map[string][]existing
	if len(b.Invocations) > 0 {
		var err error
		if found, err = probe(ctx, tx, b); err != nil {
			return nil, err
		}
	}
	changes := classify(c.function.ID, b, found)
	if len(changes.replace) > 0 {
		if err := remove(ctx, tx, changes.replace, found); err != nil {
			return nil, err
		}
	}
	if len(changes.write) > 0 {
		if err := copyIn(ctx, tx, changes.write); err != nil {
			return nil, err
		}
	}
	if len(b.Rejected) > 0 {
		if err := c.reject(ctx, tx, b, changes); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// checkpoint keeps where the walk stands, or closes it. A span that is cut
// leaves a walk for each piece, so that the next run finds the same ones.
func (c *claim) checkpoint(ctx context.Context, tx pgx.Tx, b *archive.Batch) error {
	open := []archive.Walk{b.Walk}
	if b.Outcome != nil || len(b.Pieces) > 0 {
		open = nil
		for _, s := range b.Pieces {
			open = append(open, archive.Walk{Span: s})
		}
		if c.begun[b.Walk.Span] {
			_, err := tx.Exec(ctx, `DELETE FROM walks WHERE function_id = $1 AND span_from = $2`,
				c.function.ID, b.Walk.Span.From)
			if err != nil {
				return fmt.Errorf("close the walk of %s: %w", b.Walk.Span, err)
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	n := len(open)
	from, to, cursors := make([]time.Time, n), make([]time.Time, n), make([]string, n)
	seen, counts := make([]int32, n), make([]*int, n)
	for i, w := range open {
		from[i], to[i], cursors[i], seen[i] = w.Span.From, w.Span.To, string(w.Cursor), int32(w.Seen)
		if w.Count >= 0 {
			counts[i] = &w.Count
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO walks (function_id, span_from, span_to, source_cursor, seen, source_count)
		SELECT $1, w.*
		  FROM unnest($2::timestamptz[], $3::timestamptz[], $4::text[], $5::integer[], $6::integer[]) AS w
		    ON CONFLICT (function_id, span_from) DO UPDATE
		   SET span_to = EXCLUDED.span_to, source_cursor = EXCLUDED.source_cursor,
		       seen = EXCLUDED.seen, source_count = EXCLUDED.source_count`,
		c.function.ID, from, to, cursors, seen, counts)
	if err != nil {
		return fmt.Errorf("keep the walk of %s: %w", b.Walk.Span, err)
	}
	return nil
}

// remove deletes the rows that make way for their newer selves, each from the
// partition in which it was found.
func remove(ctx context.Context, tx pgx.Tx, ids []string, found map[string][]existing) error {
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
	var batch pgx.Batch
	batch.Queue(`DELETE FROM invocations_in_flight WHERE request_id = ANY ($1)`, ids)
	batch.Queue(`DELETE FROM invocations_undated WHERE request_id = ANY ($1)`, ids)
	if !from.IsZero() {
		batch.Queue(`
			DELETE FROM invocations_dated
			 WHERE request_id = ANY ($1) AND start_time BETWEEN $2 AND $3`, ids, from, to)
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("delete %d rows that changed: %w", len(ids), err)
	}
	return nil
}

// reject keeps aside what no row can hold, once however often it is read.
// Payloads are kept as text.
func (c *claim) reject(ctx context.Context, tx pgx.Tx, b *archive.Batch, changes *changes) error {
	n := len(b.Rejected)
	windows, reasons, payloads := make([]time.Time, n), make([]string, n), make([]string, n)
	for i := range b.Rejected {
		r := &b.Rejected[i]
		windows[i] = b.Walk.Span.WindowOf(r.Start)
		reasons[i], payloads[i] = storable(r.Reason), storable(string(r.Payload))
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO rejected_records (function_id, window_start, reason, payload, rejected_at)
		SELECT $1, r.window_start, r.reason, r.payload, $5
		  FROM unnest($2::timestamptz[], $3::text[], $4::text[]) AS r (window_start, reason, payload)
		    ON CONFLICT (function_id, md5(payload)) DO NOTHING
		RETURNING window_start`,
		c.function.ID, windows, reasons, payloads, b.At)
	if err != nil {
		return fmt.Errorf("keep %d rejected records: %w", n, err)
	}
	kept, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return fmt.Errorf("keep %d rejected records: %w", n, err)
	}
	changes.kept.Rejected += len(kept)
	for _, window := range kept {
		changes.windows.at(c.function.ID, window).rejected++
	}
	return nil
}

// storable is a foreign text as PostgreSQL can hold it.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// again reports whether a transaction failed for what another one did.
func again(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case pgerrcode.UniqueViolation, pgerrcode.CheckViolation, pgerrcode.SerializationFailure,
		pgerrcode.DeadlockDetected, pgerrcode.UndefinedTable:
		return true
	}
	return false
}
