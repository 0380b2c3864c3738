package days

import (
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
	month part
	days  []part
}

// Unmerged are the old months that Merge is to merge, oldest first.
func (s *Days) Unmerged(ctx context.Context) ([]Month, error) {
	states, err := s.states(ctx)
	if err != nil {
		return nil, err
	}
	months := make(map[part]Month)
	for p, is := range states {
		if month := monthOf(p.from); p != month && is.attached && s.isOld(month) {
			m := months[month]
			months[month] = Month{m.Bytes + is.bytes, month, append(m.days, p)}
		}
	}
	var all []Month
	for _, m := range months {
		slices.SortFunc(m.days, func(a, b part) int { return a.from.Compare(b.from) })
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Month) int { return a.month.from.Compare(b.month.from) })
	return all, nil
}

// errNotNow says that a month is left to the next pass.
var errNotNow = errors.New("another process is at work on it")

// Merge moves the days of each old month into one table. Months of which retention
// drops days within the next month stay as they are: dropping a table is cheaper than
// deleting rows. before is the time before which retention drops days, zero for none.
//
// A merge is one transaction: it writes each row once, and a crash leaves the days. It
// locks the days against writes, copies them into a table that no one sees, makes the
// indexes and statistics, and then, within milliseconds, drops the days and attaches
// the month. This last step waits for readers, at most swapPatience at a time; new
// readers wait behind it. If a reader goes on, or a writer waits for the days (no row
// of an old month changes in a usual pass), the merge gives up and the next pass tries
// again.
//
// The rows are frozen, and so every snapshot sees them: a reader whose transaction began
// before the merge finds them where it found the days.
//
// While a publication publishes the days one by one (FOR ALL TABLES), it would publish
// the copies a second time: then nothing is merged.
func (s *Days) Merge(ctx context.Context, before time.Time) error {
	months, err := s.Unmerged(ctx)
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
	var failed []error
	for _, m := range months {
		if m.month.from.Before(before.AddDate(0, 1, 0)) {
			continue
		}
		began, rows := time.Now(), int64(0)
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
			rows, err = merge(ctx, s.db, tx, reader, m)
			return err
		})
		switch {
		case errors.Is(err, errPublished):
			s.db.Log.Info("days are not merged", "error", err)
			return nil
		case err != nil:
			failed = append(failed, fmt.Errorf("merge the days of %s: %w", m.month, err))
		default:
			s.db.Log.Info("days merged", "month", m.month.String(), "rows", rows, "bytes", m.Bytes, "seconds", time.Since(began).Seconds())
		}
		if ctx.Err() != nil || conn.IsClosed() || reader.IsClosed() {
			break
		}
	}
	return errors.Join(failed...)
}

const (
	// writersPatience is longer than a vacuum of a day takes to give way.
	writersPatience = "1500ms"
	swapPatience    = "500ms"
)

var errPublished = errors.New("a publication publishes each of their tables: drop it, or publish invocations with publish_via_partition_root")

//go:embed merging.sql
var selectMerging string

// merge merges the days of a month, and returns the number of rows.
func merge(ctx context.Context, db *pg.DB, tx pgx.Tx, reader *pgx.Conn, m Month) (rows int64, err error) {
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
	var published bool
	var columns, constraint string
	if err := tx.QueryRow(ctx, selectMerging, pg.Args{"schema": db.Schema.Days, "name": m.month.name()}).Scan(&published, &columns, &constraint); err != nil {
		return 0, fmt.Errorf("select columns: %w", err)
	}
	if published {
		return 0, errPublished
	}
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
	swap := `SET LOCAL lock_timeout = '` + swapPatience + `';
		LOCK TABLE ONLY invocations_dated IN ACCESS EXCLUSIVE MODE;
		DROP TABLE ` + tables + `; ` + m.month.attach(db) + `;
		ALTER TABLE ` + table + ` DROP CONSTRAINT merged`
	err = retry(func() error {
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

// lockMonth takes the locks of retention, of the month and of all its days, and makes
// sure that nothing has changed since.
func lockMonth(ctx context.Context, tx pgx.Tx, m Month) error {
	var classes, numbers []int32
	for _, p := range append([]part{m.month}, m.days...) {
		class, number := p.lock()
		classes, numbers = append(classes, class), append(numbers, number)
	}
	var locked bool
	err := tx.QueryRow(ctx, `
		SELECT pg_try_advisory_xact_lock($3 # 'windows'::regclass::oid::bigint) AND bool_and(pg_try_advisory_xact_lock(class, number))
		  FROM unnest($1::integer[], $2::integer[]) AS l (class, number)`, classes, numbers, pg.RetentionLock).Scan(&locked)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	states, err := statesOf(ctx, tx, m.month)
	if err != nil {
		return err
	}
	attached := 0
	for _, is := range states {
		if is.open() {
			attached++
		}
	}
	for _, p := range m.days {
		locked = locked && states[p].open()
	}
	if !locked || attached != len(m.days) {
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
