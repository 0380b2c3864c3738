package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// maxTries is how often a commit is made again where another transaction got
// in between: two functions that give one request id at the same moment, or a
// day dropped under our hands.
const maxTries = 4

// Commit keeps one page and its checkpoint. A crash before it answers leaves
// both or neither: where neither, the next run asks for the page again.
func (c *claim) Commit(ctx context.Context, b archive.Batch) (archive.Kept, error) {
	w := &write{claim: c, batch: &b, checkpoint: true}
	if c.store.writes.do(ctx, w); w.err != nil {
		return archive.Kept{}, w.err
	}
	if b.Outcome != nil || len(b.Pieces) > 0 {
		delete(c.begun, b.Walk.Span)
		for _, s := range b.Pieces {
			c.begun[s] = true
		}
	} else {
		c.begun[b.Walk.Span] = true
	}
	return w.changes.kept, nil
}

// alone makes one write in a transaction of its own, and again where another
// transaction got in between.
func (s *Store) alone(ctx context.Context, w *write) error {
	for try := 1; ; try++ {
		err := s.commit(ctx, []*write{w}, try > 1)
		if err == nil {
			return w.err
		}
		if try == maxTries || !again(err) {
			return err
		}
		w.claim.wary = w.claim.wary || foreign(err)
		s.days.Forget()
	}
}

// commit makes writes of different claims in one transaction. Those whose claim
// was lost are left out of it and have ErrClaimLost in their err.
//
// It takes three round trips, however many rows and claims: what is there, the
// checkpoints, and COPY with COMMIT. The first two are one where no earlier self
// of a record can be there. A crash before the last leaves nothing; of one while
// COMMIT is under way we do not know, and the next run finds either.
//
// pg/locks.go tells the order of locks.
func (s *Store) commit(ctx context.Context, writes []*write, exclusive bool) (err error) {
	for _, w := range writes {
		w.changes, w.err = nil, nil
		if err := s.days.Ensure(ctx, w.batch.Invocations); err != nil {
			return err
		}
	}
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("take a connection: %w", err)
	}
	// A connection that is still within a transaction, or broken, is closed.
	defer pooled.Release()
	conn := pooled.Conn()
	defer func() {
		if err == nil {
			return
		}
		for _, w := range writes {
			w.claim.past = nil // it may or may not have come about
		}
		if conn.PgConn().TxStatus() != 'I' {
			_, rolledBack := conn.Exec(context.WithoutCancel(ctx), `ROLLBACK`)
			if rolledBack != nil && !conn.IsClosed() {
				err = errors.Join(err, rolledBack)
			}
		}
	}()
	d, err := begin(ctx, conn, writes, exclusive)
	if err != nil {
		return err
	}
	if len(d.writes) == 0 {
		_, err := conn.Exec(ctx, `ROLLBACK`)
		return err
	}
	if !d.prepared {
		if err := d.prepare(ctx, conn); err != nil {
			return err
		}
	}
	if len(d.rows) > 0 {
		if err := copyIn(ctx, conn, d.rows); err != nil {
			return err
		}
	}
	for _, w := range d.writes {
		w.claim.past.wrote(w.changes.write)
	}
	return nil
}

// Planning takes longer than running what a page costs, and most of it is the
// same each time. Only what asks days by their time is planned anew, so that
// the other days are left out.
const (
	planOnce   = `SET LOCAL plan_cache_mode = force_generic_plan`
	planAlways = `SET LOCAL plan_cache_mode = force_custom_plan`
)

// A claimKey is one claim of one function.
type claimKey struct {
	functionID int32
	epoch      int64
}

// begin opens the transaction: it checks the claims, looks up what the archive
// has of the pages, and works out what those whose claims hold make of it.
//
// On a first load nothing is found. Where that is to be expected, checkpoints go
// along with the question; where it then is not so, begin begins again.
func begin(ctx context.Context, conn *pgx.Conn, writes []*write, exclusive bool) (*draft, error) {
	n := len(writes)
	functions, epochs := make([]int32, n), make([]int64, n)
	for i, w := range writes {
		functions[i], epochs[i] = w.claim.function.ID, w.claim.epoch
	}
	lock := `SELECT pg_advisory_xact_lock_shared($1)`
	if exclusive {
		lock = `SELECT pg_advisory_xact_lock($1)`
	}
	holds := make(map[claimKey]bool, n)
	p := newProbe(writes)
	var first pgx.Batch
	first.Queue(`BEGIN`)
	first.Queue(planOnce)
	first.Queue(fence, functions, epochs, archive.ClaimLife).Query(func(rows pgx.Rows) error {
		var key claimKey
		_, err := pgx.ForEachRow(rows, []any{&key.functionID, &key.epoch}, func() error {
			holds[key] = true
			return nil
		})
		return err
	})
	if exclusive {
		// All others wait behind this one: not for as long as one that is
		// stopped in the middle of COPY.
		first.Queue(`SELECT set_config('lock_timeout', $1, true)`, fmt.Sprint(archive.ClaimLife.Milliseconds()))
	}
	first.Queue(lock, pg.CommitLock)
	asked := p.queue(&first)
	d := newDraft(writes, nil)
	if d.prepared = !asked && d.plain(); d.prepared {
		d.lock(&first)
		d.checkpoints(&first)
	}
	looking := conn.SendBatch(ctx, &first)
	d.sort() // meanwhile
	if err := looking.Close(); err != nil {
		return nil, fmt.Errorf("look up %d pages with %d request ids: %w", n, len(p.ids), err)
	}
	if err := p.finish(ctx, conn); err != nil {
		return nil, err
	}
	var held []*write
	for _, w := range writes {
		if holds[claimKey{w.claim.function.ID, w.claim.epoch}] {
			held = append(held, w)
		} else {
			w.err = archive.ErrClaimLost
		}
	}
	if len(held) == n && len(p.found) == 0 {
		return d, nil
	}
	if d.prepared {
		if _, err := conn.Exec(ctx, `ROLLBACK`); err != nil {
			return nil, fmt.Errorf("begin again: %w", err)
		}
		for _, w := range writes {
			w.claim.doubtful = w.claim.doubtful || w.err != nil || p.found.any(w.batch)
		}
		return begin(ctx, conn, writes, exclusive)
	}
	d = newDraft(held, p.found)
	d.sort()
	return d, nil
}

// foreign reports whether a transaction failed because a record is there that
// was not looked up: it came from another function.
func foreign(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errTwice) || errors.As(err, &pg) && pg.Code == pgerrcode.UniqueViolation
}

// again reports whether a transaction failed for what another one did.
func again(err error) bool {
	if foreign(err) {
		return true
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case pgerrcode.CheckViolation, pgerrcode.SerializationFailure,
		pgerrcode.DeadlockDetected, pgerrcode.UndefinedTable:
		return true
	}
	return false
}
