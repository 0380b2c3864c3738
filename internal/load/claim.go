package load

import (
	"cmp"
	"context"
	_ "embed" // statements
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// A claim gives this process the right to write what belongs to a function.
type claim struct {
	store     *Store
	function  archive.Known
	owner     int32
	server    string // that has confirmed the claim, and all that was written under it
	epoch     int64
	openWalks map[archive.Span]bool // spans with a row in walks

	known          knownRows
	sawForeignRows bool // other functions have some of its records

	err error // of taking or releasing the claim
}

// Claim claims the function. It answers archive.ErrClaimed while another worker holds
// the claim: a claim ends when it is released, when it was not renewed for
// archive.ClaimLife, and when the process that holds it dies. The owner lock of a
// killed process leaves pg_locks at once.
func (s *Store) Claim(ctx context.Context, function archive.Known) (archive.Claim, error) {
	owner, err := s.db.Live(ctx)
	if err != nil {
		return nil, err
	}
	c := &claim{
		store: s, function: function, owner: owner, openWalks: make(map[archive.Span]bool),
		known: knownRows{life: lifeOf(function), days: make(map[time.Time]*knownDay)}, sawForeignRows: function.Versioned,
	}
	if s.claims.do(ctx, c); c.err != nil {
		return nil, c.err
	}
	if c.epoch == 0 {
		return nil, archive.ErrClaimed
	}
	return c, nil
}

// lifeOf is how long after its creation a record of the function may still be in flight.
func lifeOf(f archive.Known) time.Duration { return cmp.Or(f.MaxLife, archive.MaxLife) }

// maxClaims is how many claims one statement takes or releases.
const maxClaims = 100

func newClaims(s *Store) *gather[*claim] {
	return &gather[*claim]{
		most: 1,
		full: func(together []*claim, next *claim) bool {
			// A statement must not take one function twice.
			return len(together) == maxClaims || slices.ContainsFunc(together, func(c *claim) bool {
				return c.function.ID == next.function.ID || c.owner != next.owner
			})
		},
		make: s.take,
	}
}

const insertClaims = `
	INSERT INTO claims (function_id, owner, epoch, expires_at)
	SELECT id, 0, 0, '-infinity'
	  FROM unnest($1::integer[]) AS id
	 WHERE NOT EXISTS (SELECT FROM claims WHERE function_id = id)
	 ORDER BY id
	    ON CONFLICT (function_id) DO NOTHING`

//go:embed takeclaims.sql
var takeClaims string

// selectDays are the days on which functions have rows.
const selectDays = `
	SELECT function_id, day, records
	  FROM window_days
	 WHERE function_id = ANY ($1) AND records > 0`

// take takes those of the claims that no one holds, and sets their epoch.
func (s *Store) take(ctx context.Context, claims []*claim) {
	functions := make([]int32, len(claims))
	of := make(map[int32]*claim, len(claims))
	for i, c := range claims {
		functions[i], of[c.function.ID] = c.function.ID, c
	}
	var batch pgx.Batch
	batch.Queue(`SELECT set_config('lock_timeout', $1, true)`, fmt.Sprint(s.claimLocks.Milliseconds()))
	batch.Queue(insertClaims, functions)
	batch.Queue(takeClaims, pg.Args{
		"functions": functions, "owner": claims[0].owner, "life": archive.ClaimLife, "owner_locks": pg.OwnerLocks,
	}).Query(func(rows pgx.Rows) error {
		var id int32
		var epoch int64
		_, err := pgx.ForEachRow(rows, []any{&id, &epoch}, func() error {
			of[id].epoch = epoch
			return nil
		})
		return err
	})
	// This process holds the claims now, so no other process adds rows.
	batch.Queue(selectDays, functions).Query(func(rows pgx.Rows) error {
		var id int32
		var on time.Time
		var records int
		_, err := pgx.ForEachRow(rows, []any{&id, &on, &records}, func() error {
			of[id].known.days[on.UTC()] = &knownDay{rows: records}
			return nil
		})
		return err
	})
	err := s.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		for _, c := range claims {
			c.server = pg.ServerOf(conn.Conn())
		}
		return conn.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		if pg.TroubleOf(err) != archive.TroubleRefused {
			s.db.Disown(ctx) // some may be taken
		}
		for _, c := range claims {
			c.err = fmt.Errorf("take %d claims: %w", len(claims), pg.Unanswered(ctx, err))
		}
	}
}

// A claimKey is one claim of one function.
type claimKey struct {
	functionID int32
	epoch      int64
}

// The fence is the first statement of each transaction that writes under a claim. It
// renews the claim and locks its row until the transaction ends, so no other worker
// can take the claim before. If the claim was lost, the fence updates no row.
const fence = `
	UPDATE claims c
	   SET expires_at = clock_timestamp() + $3
	  FROM unnest($1::integer[], $2::bigint[]) AS held (function_id, epoch)
	 WHERE c.function_id = held.function_id AND c.epoch = held.epoch
	RETURNING c.function_id, c.epoch`

// Renew keeps the claim for another archive.ClaimLife.
func (c *claim) Renew(ctx context.Context) error {
	var batch pgx.Batch
	held := c.queueFence(&batch)
	err := c.store.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if err := pg.SameServer(conn.Conn(), c.server); err != nil {
			return err
		}
		return conn.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return fmt.Errorf("renew the claim of %s: %w", c.function.Name, err)
	}
	if !*held {
		return archive.ErrClaimLost
	}
	return nil
}

// queueFence adds the fence of the claim. When the batch has been read, held tells
// whether the worker still holds the claim.
func (c *claim) queueFence(batch *pgx.Batch) (held *bool) {
	held = new(bool)
	batch.Queue(fence, []int32{c.function.ID}, []int64{c.epoch}, archive.ClaimLife).Exec(func(updated pgconn.CommandTag) error {
		*held = updated.RowsAffected() > 0
		return nil
	})
	return held
}

// Release ends the claim. If the claim was lost, Release does nothing.
func (c *claim) Release(ctx context.Context) error {
	c.store.releases.do(ctx, c)
	return c.err
}

func newReleases(s *Store) *gather[*claim] {
	return &gather[*claim]{
		most: 1,
		full: func(together []*claim, _ *claim) bool { return len(together) == maxClaims },
		make: s.release,
	}
}

func (s *Store) release(ctx context.Context, claims []*claim) {
	functions, epochs, owners := make([]int32, len(claims)), make([]int64, len(claims)), make([]int32, len(claims))
	for i, c := range claims {
		functions[i], epochs[i], owners[i] = c.function.ID, c.epoch, c.owner
	}
	// After a failover, the claim of another process may have the epoch of a lost one.
	_, err := s.pool.Exec(ctx, `
		UPDATE claims c
		   SET expires_at = '-infinity'
		  FROM unnest($1::integer[], $2::bigint[], $3::integer[]) AS held (function_id, epoch, owner)
		 WHERE c.function_id = held.function_id AND c.epoch = held.epoch AND c.owner = held.owner`, functions, epochs, owners)
	if err != nil {
		s.db.Disown(ctx)
		for _, c := range claims {
			c.err = fmt.Errorf("release %d claims: %w", len(claims), pg.Unanswered(ctx, err))
		}
	}
}

// fenced runs f, which writes windows of the function, in a transaction that
// begins with the fence.
func (c *claim) fenced(ctx context.Context, f func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, c.store.pool, func(tx pgx.Tx) error {
		if err := pg.SameServer(tx.Conn(), c.server); err != nil {
			return err
		}
		var batch pgx.Batch
		held := c.queueFence(&batch)
		batch.Queue(pg.LockWindows, []int32{c.function.ID})
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("check the claim of %s: %w", c.function.Name, err)
		}
		if !*held {
			return archive.ErrClaimLost
		}
		return f(tx)
	})
}

// Fail notes that reading a span ended with an error. If the span has a row in walks,
// the row stays, and the next run continues from its cursor; windows that are stuck
// begin again at their first page. Complete and expired windows stay as they are, and so
// do all windows of a function that is gone.
func (c *claim) Fail(ctx context.Context, s archive.Span, r archive.Refusal, at time.Time) (failed int, err error) {
	ended := false // no walk of the span stays open: complete windows are compared again, not due
	err = c.fenced(ctx, func(tx pgx.Tx) error {
		failed = s.Windows()
		if !c.function.Gone.IsZero() {
			return nil
		}
		var w windowChanges
		w.decide(c.function.ID, s, archive.Outcome{State: archive.StateFailed, Err: r.Reason, Refusal: r}, at)
		if err := c.spare(ctx, tx, &w); err != nil {
			return err
		}
		failed = len(w.of)
		if ended = r.Stuck || failed == 0; ended {
			_, err := tx.Exec(ctx, `
				DELETE FROM walks
				 WHERE function_id = $1 AND span_from < $3 AND span_to > $2`, c.function.ID, s.From, s.To)
			if err != nil {
				return fmt.Errorf("delete the walks of %s: %w", s, err)
			}
		}
		return w.write(ctx, tx)
	})
	if err == nil && ended {
		maps.DeleteFunc(c.openWalks, func(open archive.Span, _ bool) bool { return open.Overlaps(s) })
	}
	return failed, err
}

// Gone notes that the source does not know the function. The windows of the due spans
// become gone. Complete and expired windows stay as they are. A function that was gone
// already stays gone since then.
func (c *claim) Gone(ctx context.Context, due []archive.Span, at time.Time) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		// Before the row of the function, as pg/locks.go says.
		if err := lockSettings(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE functions SET gone_at = COALESCE(gone_at, $2), gone_asked_at = $2 WHERE function_id = $1`, c.function.ID, at)
		if err != nil {
			return fmt.Errorf("update %s: %w", c.function.Name, err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM walks WHERE function_id = $1`, c.function.ID); err != nil {
			return fmt.Errorf("delete the walks of %s: %w", c.function.Name, err)
		}
		var w windowChanges
		for _, s := range due {
			w.decide(c.function.ID, s, archive.Outcome{State: archive.StateGone, Err: archive.ErrGone.Error()}, at)
		}
		if err := c.spare(ctx, tx, &w); err != nil {
			return err
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		// No run will finish the other open windows either.
		_, err = tx.Exec(ctx, `
			UPDATE windows
			   SET state = 'gone', last_error = $2, refused_from = NULL, refused_to = NULL, stuck = 0, retry_at = NULL
			 WHERE function_id = $1 AND planned AND state NOT IN ('complete', 'gone', 'expired')`,
			c.function.ID, archive.ErrGone.Error())
		if err != nil {
			return fmt.Errorf("update the windows of %s: %w", c.function.Name, err)
		}
		return c.goneSettings(ctx, tx, at)
	})
}

// spare removes complete and expired windows from the changes.
func (c *claim) spare(ctx context.Context, tx pgx.Tx, w *windowChanges) error {
	decided, err := pg.CollectBy(ctx, tx, utcHour, "the decided windows of "+c.function.Name, `
		SELECT window_start
		  FROM windows
		 WHERE function_id = $1 AND state IN ('complete', 'expired') AND window_start = ANY ($2)`,
		c.function.ID, w.starts())
	if err != nil {
		return err
	}
	for _, start := range decided {
		delete(w.of, windowKey{c.function.ID, start})
	}
	return nil
}
