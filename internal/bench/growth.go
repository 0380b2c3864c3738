package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
)

const (
	// The history: historyDays days before the measured day, with recordsAnHour
	// records in each hour of each function, 20.8 million in all.
	historyDays     = 365
	recordsAnHour   = 17
	historyBuilders = 4
	growthPages     = 400 // at most, committed to both archives
	growthLookups   = 50
	growthSkipped   = 10 // first pages, which read catalogs
	growthTarget    = 1.2
	growthWithout   = "growth_without"
	growthWithin    = "growth_within"
)

// growthArchive is an archive in which one function after another is claimed.
type growthArchive struct {
	db    *pg.DB
	store *load.Store
	ids   map[string]archive.Known
	claim archive.Claim
	took  []float64 // seconds a page
}

// measureGrowth commits the same pages to an archive without a history and to one
// with a year of history. Pages alternate between the archives.
func measureGrowth(ctx context.Context, b *bench) ([]measure, error) {
	data, err := b.day(smallDay)
	if err != nil {
		return nil, err
	}
	day := pages(data, pageSize, loadAtMost)
	without, _, err := b.grow(ctx, growthWithout, day)
	if err != nil {
		return nil, err
	}
	defer without.db.Close()
	within, database, err := b.grow(ctx, growthWithin, day)
	if err != nil {
		return nil, err
	}
	defer within.db.Close()
	archives := []*growthArchive{without, within}
	began := time.Now()
	rows, err := buildHistory(ctx, within.db, database, within.ids[day[0].function.URN])
	if err != nil {
		return nil, fmt.Errorf("build a history: %w", err)
	}
	b.progress("a history of %d rows in %s", rows, time.Since(began).Round(time.Second))
	// The checkpoint of 20 million new rows must not slow the pages.
	if err := b.exec(ctx, "CHECKPOINT"); err != nil {
		return nil, err
	}

	committed := 0
	for _, w := range day {
		if committed >= growthPages {
			break
		}
		n := min(len(w.pages), growthPages-committed)
		if err := commitBoth(ctx, archives, w, n); err != nil {
			return nil, err
		}
		committed += n
	}
	short, long := median(without.took[growthSkipped:]), median(within.took[growthSkipped:])
	lookup, scanned, err := lookUp(ctx, database)
	if err != nil {
		return nil, err
	}
	return []measure{
		figure("rows of history, in days", "%d, %d", rows, historyDays),
		figure("a page of 500, without and with it", "%.2f, %.2f ms", short*1000, long*1000),
		atMost("a page with the history / without", "%.2f", long/short, growthTarget),
		figure("one request_id in all days", "%.1f ms", lookup*1000),
		atMost("one request_id: days read without an index", "%.0f", scanned, 0),
	}, errors.Join(b.drop(ctx, growthWithout), b.drop(ctx, growthWithin))
}

// grow makes an archive with the day's functions. The caller closes its store.
func (b *bench) grow(ctx context.Context, name string, day []work) (*growthArchive, string, error) {
	db, address, err := b.archive(ctx, name, 2)
	if err != nil {
		return nil, "", err
	}
	store := newStore(db)
	ids, err := storeFunctions(ctx, store, day)
	if err != nil {
		db.Close()
		return nil, "", err
	}
	return &growthArchive{db: db, store: store, ids: ids}, address, nil
}

// commitBoth commits the first n pages of a function to all archives, which take
// turns.
func commitBoth(ctx context.Context, archives []*growthArchive, w work, n int) (err error) {
	for _, g := range archives {
		if g.claim, err = g.store.Claim(ctx, g.ids[w.function.URN]); err != nil {
			return err
		}
	}
	span := archive.Span{From: date, To: date.AddDate(0, 0, 1)}
	for i, page := range w.pages[:n] {
		for _, g := range archives {
			batch := archive.Batch{
				Invocations: append([]archive.Invocation(nil), page...), At: date,
				Walk: archive.Walk{Span: span, Cursor: archive.Cursor(fmt.Sprint(i)), Seen: i * pageSize},
			}
			began := time.Now()
			if _, err := g.claim.Commit(ctx, batch); err != nil {
				return err
			}
			if len(page) == pageSize {
				g.took = append(g.took, time.Since(began).Seconds())
			}
		}
	}
	for _, g := range archives {
		if err := g.claim.Release(ctx); err != nil {
			return err
		}
	}
	return nil
}

// buildHistory fills the days before the measured day, and their windows. To make
// the store create the days' tables, it commits one record for each day, and then
// deletes these records.
func buildHistory(ctx context.Context, db *pg.DB, database string, function archive.Known) (rows int64, err error) {
	from := date.AddDate(0, 0, -historyDays)
	var seeds []archive.Invocation
	for d := from; d.Before(date); d = d.AddDate(0, 0, 1) {
		seeds = append(seeds, archive.Invocation{RequestID: "seed-" + d.Format(time.DateOnly), Status: "SUCCESS", Start: d, End: d})
	}
	claim, err := newStore(db).Claim(ctx, function)
	if err != nil {
		return 0, err
	}
	if _, err := claim.Commit(ctx, archive.Batch{
		Invocations: seeds, At: date,
		Walk: archive.Walk{Span: archive.Span{From: from, To: from.Add(archive.Hour)}}, Outcome: &archive.Outcome{State: archive.StateComplete},
	}); err != nil {
		return 0, err
	}
	if err := claim.Release(ctx); err != nil {
		return 0, err
	}
	// As after a run, this creates the index on times.
	if err := days.New(db).Analyze(ctx); err != nil {
		return 0, err
	}
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	days, err := pg.CollectBy(ctx, conn, pgx.RowTo[string], "the days' tables",
		`SELECT tableoid::regclass::text FROM invocations WHERE request_id LIKE 'seed-%' ORDER BY start_time`)
	if err != nil {
		return 0, err
	}
	if len(days) != historyDays {
		return 0, fmt.Errorf("the store made %d days of %d", len(days), historyDays)
	}
	for _, statement := range []string{
		`DELETE FROM invocations`,
		`DELETE FROM archiver_internal.windows`,
		fmt.Sprintf(`
		INSERT INTO archiver_internal.windows (function_id, window_start, state, planned, records, source_count, attempts, completed_at, verified_at)
		SELECT function_id, hour, 'complete', true, %[1]d, %[1]d, 1, hour + interval '2 hours', hour + interval '8 hours'
		  FROM functions, generate_series('%[2]s'::timestamptz, '%[3]s'::timestamptz - interval '1 hour', interval '1 hour') AS hour
		 ORDER BY function_id, hour`, recordsAnHour, from.Format(time.RFC3339), date.Format(time.RFC3339)),
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	if err := fillDays(ctx, database, days, from); err != nil {
		return 0, err
	}
	if _, err := conn.Exec(ctx, vacuum+`archiver_internal.windows`); err != nil {
		return 0, err
	}
	err = conn.QueryRow(ctx, `SELECT count(*) FROM invocations`).Scan(&rows)
	return rows, err
}

// vacuum does what autovacuum does with a table later.
const vacuum = `VACUUM (ANALYZE) `

func fillDays(ctx context.Context, database string, days []string, from time.Time) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(historyBuilders)
	for i, table := range days {
		all.Go(func() error { return fillDay(ctx, database, table, from.AddDate(0, 0, i)) })
	}
	return all.Wait()
}

func fillDay(ctx context.Context, database, table string, day time.Time) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// All rows are alike, so a small sample suffices.
	if _, err := conn.Exec(ctx, `SET default_statistics_target = 10`); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `
		INSERT INTO `+table+` (first_archived_at, updated_at, start_time, end_time, function_id, request_id, status)
		SELECT start, start, start, start + interval '3 seconds', function_id, gen_random_uuid()::text, 'SUCCESS'
		  FROM functions, generate_series(0, 23) AS hour, generate_series(0, $2 - 1) AS n,
		       LATERAL (SELECT $1::timestamptz + make_interval(hours => hour, secs => n * 3600 / $2) AS start) AS s`,
		day, recordsAnHour); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, vacuum+table)
	return err
}

// lookUp returns the median time of finding a record by its request id alone, and
// how many days' tables PostgreSQL scans for it.
func lookUp(ctx context.Context, database string) (seconds, scanned float64, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(ctx)
	const one = `SELECT * FROM invocation_history WHERE request_id = $1`
	var took []float64
	for i := range growthLookups {
		var id string
		d := date.AddDate(0, 0, -1-i*historyDays/growthLookups)
		if err := conn.QueryRow(ctx, `SELECT request_id FROM invocations WHERE start_time >= $1 AND start_time < $2 LIMIT 1`, d, d.Add(archive.Hour)).Scan(&id); err != nil {
			return 0, 0, fmt.Errorf("pick a record: %w", err)
		}
		began := time.Now()
		tag, err := conn.Exec(ctx, one, pgx.QueryExecModeExec, id)
		if err != nil {
			return 0, 0, fmt.Errorf("look up a record: %w", err)
		}
		took = append(took, time.Since(began).Seconds())
		if tag.RowsAffected() != 1 {
			return 0, 0, fmt.Errorf("%d records have the request id %s", tag.RowsAffected(), id)
		}
	}
	plan, err := pg.CollectBy(ctx, conn, pgx.RowTo[string], "the plan of a look-up", `EXPLAIN `+one, pgx.QueryExecModeSimpleProtocol, "none")
	if err != nil {
		return 0, 0, err
	}
	for _, line := range plan {
		if strings.Contains(line, "Seq Scan on invocations_2") {
			scanned++
		}
	}
	return median(took), scanned, nil
}
