package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// A write is what one claim writes in one transaction: a page with its checkpoint, or
// the answer about one record in flight.
type write struct {
	claim      *claim
	batch      *archive.Batch
	checkpoint bool
	changes    *changes
	err        error
}

// Commit stores one page and its checkpoint. A crash leaves both or neither. If it
// leaves neither, the next run reads the page again.
func (c *claim) Commit(ctx context.Context, b archive.Batch) (archive.Kept, error) {
	b.Invocations = plausible(&b)
	w := &write{claim: c, batch: &b, checkpoint: true}
	if c.store.writes.do(ctx, w); w.err != nil {
		return archive.Kept{}, w.err
	}
	maps.DeleteFunc(c.openWalks, func(open archive.Span, _ bool) bool { return replaced(open, &b) })
	if b.Outcome == nil && len(b.Pieces) == 0 {
		c.openWalks[b.Walk.Span] = true
	}
	for _, s := range b.Pieces {
		c.openWalks[s] = true
	}
	return w.changes.kept, nil
}

const (
	// maxTogether is how many records share a transaction, unless one write
	// has more.
	maxTogether = 5_000

	// maxTransactions is how many transactions run at once. With more of them
	// each would be smaller, and they would contend for the same pages.
	maxTransactions = 3

	// maxTries is how often a commit is tried if it conflicts with another
	// transaction: two functions bring one request id at the same time, or
	// retention drops a day.
	maxTries = 4
)

// newWrites lets pages of several functions share transactions.
func newWrites(s *Store) *gather[*write] {
	return &gather[*write]{
		most: maxTransactions,
		full: func(together []*write, next *write) bool {
			records := len(next.batch.Invocations)
			for _, w := range together {
				records += len(w.batch.Invocations)
			}
			return records > maxTogether
		},
		make: s.keep,
	}
}

// keep commits writes in one transaction. If it fails, each write gets a
// transaction of its own: a page that the database refuses fails alone.
func (s *Store) keep(ctx context.Context, writes []*write) {
	if len(writes) > 1 {
		err := s.commit(ctx, writes, false)
		if err == nil {
			return
		}
		if pg.TroubleOf(err) == archive.TroubleLost { // it may be committed
			for _, w := range writes {
				w.err = err
			}
			return
		}
	}
	for _, w := range writes {
		w.err = s.keepOne(ctx, w)
	}
}

// keepOne commits one write, and retries it if it conflicts with another transaction.
// No other commit runs during a retry, so no commit can conflict with it again.
func (s *Store) keepOne(ctx context.Context, w *write) error {
	for try := 1; ; try++ {
		err := s.commit(ctx, []*write{w}, try > 1)
		if err == nil {
			return w.err
		}
		if try == maxTries || !isRetryable(err) {
			return err
		}
		w.claim.sawForeignRows = w.claim.sawForeignRows || isDuplicateID(err)
		s.days.Forget()
	}
}

// commit makes writes of different claims in one transaction. A write whose
// claim was lost is left out and has ErrClaimLost in its err. With exclusive, no
// other commit runs at the same time.
//
// It takes three round trips, however many rows and claims: the lookup, the
// checkpoints, and COPY with COMMIT. A crash before the third leaves nothing. A
// crash during the third leaves all or nothing, and the next run finds which.
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
	// A connection that is broken or still within a transaction is closed.
	defer pooled.Release()
	t := &transaction{conn: pooled.Conn(), existing: make(existingRows)}
	defer func() {
		if err == nil {
			return
		}
		for _, w := range writes {
			w.claim.known.doubt(w.batch)
		}
		err = errors.Join(err, t.rollback(ctx))
	}()
	for _, w := range writes {
		if err := pg.SameServer(t.conn, w.claim.server); err != nil {
			return err
		}
		if err := w.claim.readDays(ctx, t.conn, w.batch); err != nil {
			return err
		}
	}
	if err := t.begin(ctx, writes, exclusive); err != nil {
		return err
	}
	if len(t.writes) == 0 {
		return t.rollback(ctx)
	}
	t.classify()
	if err := t.checkpoint(ctx); err != nil {
		return err
	}
	if len(t.rows) > 0 {
		if err := copyIn(ctx, t.conn, t.rows); err != nil {
			return err
		}
	}
	for _, w := range t.writes {
		w.claim.known.add(w.changes.write)
	}
	return nil
}

// A transaction is one commit under way.
type transaction struct {
	conn     *pgx.Conn
	writes   []*write     // those whose claims are not lost
	existing existingRows // the stored rows of their request ids
	rows     []*row       // to be copied, in the order of their request ids
	replaced []string     // request ids whose stored rows are deleted first
	windows  windowChanges
}

// begin opens the transaction, checks and locks the claims, and looks up the stored
// rows of the pages' request ids.
//
// pg/locks.go tells the order of locks.
func (t *transaction) begin(ctx context.Context, writes []*write, exclusive bool) error {
	functions, epochs := make([]int32, len(writes)), make([]int64, len(writes))
	for i, w := range writes {
		functions[i], epochs[i] = w.claim.function.ID, w.claim.epoch
	}
	holds := make(map[claimKey]bool, len(writes))
	var batch pgx.Batch
	batch.Queue(`BEGIN`)
	batch.Queue(genericPlans)
	batch.Queue(fence, functions, epochs, archive.ClaimLife).Query(func(rows pgx.Rows) error {
		var key claimKey
		_, err := pgx.ForEachRow(rows, []any{&key.functionID, &key.epoch}, func() error {
			holds[key] = true
			return nil
		})
		return err
	})
	if exclusive {
		// All other commits wait for this one. If another commit is stopped in the
		// middle of COPY, this one waits for at most the life of a claim.
		batch.Queue(`SELECT set_config('lock_timeout', $1, true)`, fmt.Sprint(archive.ClaimLife.Milliseconds()))
		batch.Queue(pg.CommitLock)
	} else {
		batch.Queue(pg.SharedCommitLock)
	}
	queueLookups(&batch, writes, t.existing)
	if err := t.conn.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("look up the records of %d pages: %w", len(writes), err)
	}
	for _, w := range writes {
		if holds[claimKey{w.claim.function.ID, w.claim.epoch}] {
			t.writes = append(t.writes, w)
		} else {
			w.err = archive.ErrClaimLost
		}
	}
	return nil
}

// classify works out what the pages change.
func (t *transaction) classify() {
	for _, w := range t.writes {
		w.changes = classify(w.claim.function.ID, w.batch, t.existing, &t.windows)
		t.rows = append(t.rows, w.changes.write...)
		t.replaced = append(t.replaced, w.changes.replace...)
		if w.checkpoint {
			w.claim.note(&t.windows, w.batch)
		}
	}
	// Two transactions that write the same ids meet in an index. Because all
	// write in this order, one waits for the other, and they do not deadlock.
	slices.SortFunc(t.rows, func(a, b *row) int { return strings.Compare(a.requestID, b.requestID) })
}

// checkpoint writes all but the rows: it deletes rows that are replaced, and
// writes windows and walks. If there are no rows to copy, it commits.
func (t *transaction) checkpoint(ctx context.Context) error {
	var batch pgx.Batch
	t.lockWindows(&batch)
	if len(t.replaced) > 0 {
		t.existing.queueRemoval(&batch, t.replaced)
	}
	if err := t.keepRejected(ctx, &batch); err != nil {
		return fmt.Errorf("keep rejected records: %w", err)
	}
	t.windows.queue(&batch)
	queueWalks(&batch, t.writes)
	queueStrays(&batch, t.writes)
	queueReturned(&batch, t.writes)
	if len(t.rows) == 0 {
		batch.Queue(`COMMIT`)
	}
	if err := t.conn.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("keep the checkpoints of %d pages with %d rows: %w", len(t.writes), len(t.rows), err)
	}
	return nil
}

// lockWindows locks the windows of all functions whose windows are written, and notes
// the hours whose rows change as due for figures.
func (t *transaction) lockWindows(batch *pgx.Batch) {
	var functions []int32
	for key := range t.windows.of {
		if !slices.Contains(functions, key.functionID) {
			functions = append(functions, key.functionID)
		}
	}
	for _, w := range t.writes {
		if id := w.claim.function.ID; len(w.batch.Rejected) > 0 && !slices.Contains(functions, id) {
			functions = append(functions, id)
		}
	}
	if len(functions) > 0 {
		due := t.windows.due()
		batch.Queue(figures.NoteDue+pg.LockWindows, functions, due.Functions, due.Windows)
	}
}

// rollback ends a transaction that is open.
func (t *transaction) rollback(ctx context.Context) error {
	if t.conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	if _, err := t.conn.Exec(context.WithoutCancel(ctx), `ROLLBACK`); err != nil && !t.conn.IsClosed() {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// isDuplicateID reports whether a transaction failed because another function brings
// one of its request ids: in the same transaction, or on a day that was not looked up.
func isDuplicateID(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errSameID) || errors.As(err, &pg) && pg.Code == pgerrcode.UniqueViolation
}

// isRetryable reports whether a transaction failed because of what another
// transaction did.
func isRetryable(err error) bool {
	if isDuplicateID(err) {
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
