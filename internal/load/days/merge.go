package days

import (
	"cmp"
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// A Month is an old month whose days still have a table each.
type Month struct {
	Bytes int64 // of these tables: what the merge takes on disk until it has ended
	Stay  error // why Merge leaves the days as they are; nil if it merges them
	month part
	days  []part
}

func (m Month) String() string { return m.month.String() }

// Unmerged are the old months that Merge is to merge, oldest first, and those whose days
// something outside of the archive keeps apart. Months of which retention drops days
// within the next month are not among them: dropping a table is cheaper than deleting
// rows. before is the time before which retention drops days, zero for none. expected says
// that the archive is taken to be archived up to now, as it is after the next pass.
func (s *Days) Unmerged(ctx context.Context, before time.Time, expected bool) ([]Month, error) {
	old, err := s.oldBefore(ctx, s.db.Pool, expected)
	if err != nil {
		return nil, err
	}
	states, err := s.states(ctx)
	if err != nil {
		return nil, err
	}
	months := make(map[part]Month)
	for p, is := range states {
		month := monthOf(p.from)
		if p != month && is.mergeable() && month.to.Before(old) && !month.from.Before(before.AddDate(0, 1, 0)) {
			m := months[month]
			months[month] = Month{Bytes: m.Bytes + is.bytes, month: month, days: append(m.days, p)}
		}
	}
	var all []Month
	for _, m := range months {
		slices.SortFunc(m.days, func(a, b part) int { return a.from.Compare(b.from) })
		if m.Stay = stay(ctx, s.db, s.db.Pool, m); m.Stay != nil && !errors.Is(m.Stay, errStay) {
			return nil, m.Stay
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Month) int { return a.month.from.Compare(b.month.from) })
	return all, nil
}

// mergeable reports whether a merge may replace the table. One that retention closed is
// empty.
func (s state) mergeable() bool { return s.attached && !s.pending }

// errStay is matched by what keeps the days of a month apart until an operator changes it.
var errStay = errors.New("its days stay")

//go:embed merging.sql
var selectMerging string

// stay is why the days of a month cannot be merged, nil if they can. While a publication
// publishes the days one by one (FOR ALL TABLES), it would publish the copies a second
// time. A partition that an operator attached for a part of the month stands in the way
// of the month. A subscriber of PostgreSQL 13 or 14 would miss records of the month.
func stay(ctx context.Context, db *pg.DB, q pg.Querier, m Month) error {
	var names []string
	for _, p := range m.days {
		names = append(names, p.name())
	}
	type keeper struct{ Publication, Partition, Slot string }
	keepers, err := pg.Collect[keeper](ctx, q, "what keeps days apart", selectMerging,
		pg.Args{"schema": db.Schema.Days, "days": names, "from": m.month.from, "to": m.month.to})
	if err != nil {
		return err
	}
	switch k := keepers[0]; {
	case k.Publication != "":
		return fmt.Errorf("%w: the publication %s publishes each of their tables: drop it, or publish invocations with publish_via_partition_root", errStay, k.Publication)
	case k.Partition != "":
		return fmt.Errorf("%w: the partition %s holds a part of the month, and is not a day of the archive", errStay, k.Partition)
	case k.Slot != "":
		return fmt.Errorf("%w: before PostgreSQL 15, the subscriber of the replication slot %s would miss later records of the month", errStay, k.Slot)
	}
	return nil
}

// errNotNow says that a month is left to the next pass.
var errNotNow = errors.New("another process is at work on it")

// errWaited says that a writer waits for the days, so that the merge gives up.
var errWaited = errors.New("a writer waits for its days")

// errOlder says that a reader could see a record twice.
var errOlder = errors.New("a transaction goes on that began before its records last changed")

// Merge moves the days of each old month into one table, except those that stay:
// see Unmerged.
//
// A merge is one transaction: it writes each row once, and a crash leaves the days. It
// locks the days against writes, copies them into a table that no one sees, makes the
// indexes and statistics, and then, within milliseconds, drops the days and attaches
// the month. This last step waits for readers, at most swapPatience at a time; new
// readers wait behind it. If a reader goes on, the merge gives up and the next pass tries
// again. If a writer waits for the days (no row of an old month changes in a usual pass),
// the merge gives up within giveWayAfter, and no other month is merged in this pass: the
// writer, and with it each commit that waits for the locks of the writer, would wait for
// the whole month.
//
// The rows are frozen, and so every snapshot sees them: a reader whose transaction began
// before the merge finds them where it found the days. It would find a record twice that
// has settled since: see readByOlder.
//
// Before each month, tell is told how many of how many months are done.
func (s *Days) Merge(ctx context.Context, before time.Time, tell func(done, months int)) error {
	months, err := s.Unmerged(ctx, before, false)
	if err != nil || len(months) == 0 {
		return err
	}
	settings := map[string]string{"lock_timeout": writersPatience}
	conn, err := s.db.Session(ctx, settings)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	reader, err := s.db.Session(ctx, settings)
	if err != nil {
		return err
	}
	defer reader.Close(context.WithoutCancel(ctx))
	watcher, err := s.db.Session(ctx, settings)
	if err != nil {
		return err
	}
	defer watcher.Close(context.WithoutCancel(ctx))
	var failed []error
	for i, m := range months {
		tell(i, len(months))
		began, rows, err := time.Now(), int64(0), m.Stay
		if err == nil {
			err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
				rows, err = merge(ctx, s.db, tx, reader, watcher, m)
				return err
			})
		}
		switch {
		case errors.Is(err, errStay):
			s.db.Log.Info("days are not merged", "month", m.String(), "error", err)
		case err != nil:
			failed = append(failed, fmt.Errorf("merge the days of %s: %w", m, err))
		default:
			s.db.Log.Info("days merged", "month", m.String(), "rows", rows, "bytes", m.Bytes, "seconds", time.Since(began).Seconds())
		}
		if errors.Is(err, errWaited) || ctx.Err() != nil || conn.IsClosed() || reader.IsClosed() || watcher.IsClosed() {
			break
		}
	}
	return errors.Join(failed...)
}

const (
	// writersPatience is longer than a vacuum of a day takes to give way.
	writersPatience = "1500ms"
	swapPatience    = "500ms"
	// giveWayAfter is how long a writer waits for a merge, at most.
	giveWayAfter = 250 * time.Millisecond
	// clocksDiffer is more than the clocks of archivers and the database may differ.
	clocksDiffer = time.Hour
)

// merge merges the days of a month, and returns the number of rows.
func merge(ctx context.Context, db *pg.DB, tx pgx.Tx, reader, watcher *pgx.Conn, m Month) (rows int64, err error) {
	if err := lockMonth(ctx, tx, m); err != nil {
		return 0, err
	}
	tables := ""
	for i, p := range m.days {
		if i > 0 {
			tables += ", "
		}
		tables += p.table(db)
	}
	table := m.month.table(db)
	if _, err := tx.Exec(ctx, `LOCK TABLE `+tables+` IN SHARE ROW EXCLUSIVE MODE; `+m.month.create(db)); err != nil {
		return 0, fmt.Errorf("wait for writers: %w", err)
	}
	if err := stay(ctx, db, tx, m); err != nil {
		return 0, err
	}
	var columns, constraint string
	err = tx.QueryRow(ctx, `
		SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), pg_get_partition_constraintdef('invocations_dated'::regclass)
		  FROM pg_attribute
		 WHERE attrelid = 'invocations'::regclass AND attnum > 0 AND NOT attisdropped`).Scan(&columns, &constraint)
	if err != nil {
		return 0, fmt.Errorf("select columns: %w", err)
	}
	var process int // of the server: PgBouncer gives another number
	var before []string
	err = tx.QueryRow(ctx, `
		SELECT pg_backend_pid(), array_agg(virtualtransaction) FROM pg_locks WHERE locktype = 'virtualxid' AND pid <> pg_backend_pid()`).Scan(&process, &before)
	if err != nil {
		return 0, fmt.Errorf("select transactions: %w", err)
	}
	err = givingWay(ctx, watcher, tx.Conn(), process, func() (err error) {
		if rows, err = fill(ctx, db, tx, reader, m, columns, constraint); err != nil {
			return err
		}
		return readByOlder(ctx, db, tx, m, before)
	})
	if err != nil {
		return 0, err
	}
	swap := `SET LOCAL lock_timeout = '` + swapPatience + `';
		LOCK TABLE ONLY invocations_dated IN ACCESS EXCLUSIVE MODE;
		DROP TABLE ` + tables + `; ` + m.month.attach(db) + `;
		ALTER TABLE ` + table + ` DROP CONSTRAINT merged`
	err = retry(func() error {
		// Between two tries, readers pass: who waits still is a writer.
		if waits, err := isWaitedFor(ctx, tx, process); err != nil || waits {
			return cmp.Or(err, errWaited)
		}
		return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
			_, err := tx.Exec(ctx, swap)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("wait for readers: %w", err)
	}
	return rows, nil
}

// fill copies the days into the table of their month, and makes its indexes and
// statistics. It returns the number of rows.
func fill(ctx context.Context, db *pg.DB, tx pgx.Tx, reader *pgx.Conn, m Month, columns, constraint string) (rows int64, err error) {
	table := m.month.table(db)
	for _, p := range m.days {
		n, err := copyTable(ctx, reader, tx.Conn(), p.table(db), table, columns)
		if err != nil {
			return 0, fmt.Errorf("copy %s: %w", p, err)
		}
		rows += n
	}
	// The CHECK says what attach would otherwise read the whole table for, while all
	// readers wait.
	for _, statement := range []string{
		m.month.unique(db), m.month.byTime(db), `ANALYZE ` + table,
		`ALTER TABLE ` + table + ` ADD CONSTRAINT merged CHECK (` + constraint + ` AND ` + m.month.bounds() + `)`,
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return 0, fmt.Errorf("prepare its table: %w", err)
		}
	}
	return rows, nil
}

//go:embed older.sql
var selectOlder string

// readByOlder returns errOlder if one of the transactions before, which began before no
// row of the days could change any more, goes on and may not see all rows of the days.
func readByOlder(ctx context.Context, db *pg.DB, tx pgx.Tx, m Month, before []string) error {
	var age *int
	var began *time.Time
	if err := tx.QueryRow(ctx, selectOlder, pg.Args{"before": before}).Scan(&age, &began); err != nil {
		return fmt.Errorf("select older transactions: %w", err)
	}
	for _, p := range m.days {
		if age == nil {
			return nil
		}
		var unseen bool
		err := tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM `+p.table(db)+` WHERE age(xmin) <= $1 AND updated_at >= $2)`,
			*age, began.Add(-clocksDiffer)).Scan(&unseen)
		if err != nil {
			return fmt.Errorf("look for rows that changed: %w", err)
		}
		if unseen {
			return errOlder
		}
	}
	return nil
}

// givingWay calls f, which works on a connection. If a session waits for a transaction of
// the connection, givingWay cancels the statements of f and returns errWaited. The watcher
// is a session outside of the pool: the writers that wait may hold the whole pool.
func givingWay(ctx context.Context, watcher, conn *pgx.Conn, process int, f func() error) error {
	ended, watched := make(chan struct{}), make(chan error)
	go func() {
		tick := time.NewTicker(giveWayAfter)
		defer tick.Stop()
		var gaveUp error
		for {
			select {
			case <-ended:
				watched <- gaveUp
				return
			case <-tick.C:
			}
			if gaveUp == nil {
				waits, err := isWaitedFor(ctx, watcher, process)
				if waits {
					err = errWaited
				}
				gaveUp = err
			}
			if gaveUp != nil { // f may be between two statements: the next tick cancels again
				_ = conn.PgConn().CancelRequest(ctx)
			}
		}
	}()
	err := f()
	close(ended)
	return cmp.Or(<-watched, err)
}

// isWaitedFor reports whether a session waits for a process of the server.
func isWaitedFor(ctx context.Context, q pg.Querier, process int) (waits bool, err error) {
	waiting, err := pg.CollectBy(ctx, q, pgx.RowTo[int], "who waits", `
		SELECT pid FROM pg_locks WHERE NOT granted AND @process = ANY (pg_blocking_pids(pid)) LIMIT 1`, pg.Args{"process": process})
	return len(waiting) > 0, err
}

// lockMonth takes the locks of retention, of the month and of all its days, and makes
// sure that nothing has changed since.
func lockMonth(ctx context.Context, tx pgx.Tx, m Month) error {
	locks := [][2]int32{{pg.RetentionLock, 0}}
	for _, p := range append([]part{m.month}, m.days...) {
		class, number := p.lock()
		locks = append(locks, [2]int32{class, number})
	}
	for _, l := range locks {
		var locked bool
		if err := tx.QueryRow(ctx, pg.Lock("pg_try_advisory_xact_lock"), l[0], l[1]).Scan(&locked); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		if !locked {
			return errNotNow
		}
	}
	states, err := statesOf(ctx, tx, m.month)
	if err != nil {
		return err
	}
	attached := 0
	for _, is := range states {
		if is.attached {
			attached++
		}
	}
	if attached != len(m.days) || slices.ContainsFunc(m.days, func(p part) bool { return !states[p].mergeable() }) {
		return errNotNow
	}
	return nil
}

// copyTable copies the rows of one table into another, which the transaction of to has
// created.
func copyTable(ctx context.Context, from, to *pgx.Conn, source, target, columns string) (rows int64, err error) {
	r, w := io.Pipe()
	read := make(chan error, 1)
	go func() {
		_, err := from.PgConn().CopyTo(ctx, w, `COPY `+source+` (`+columns+`) TO STDOUT (FORMAT binary)`)
		w.CloseWithError(err)
		read <- err
	}()
	tag, err := to.PgConn().CopyFrom(ctx, r, `COPY `+target+` (`+columns+`) FROM STDIN (FORMAT binary, FREEZE)`)
	r.CloseWithError(err)
	return tag.RowsAffected(), errors.Join(err, <-read)
}
