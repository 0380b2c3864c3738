package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

const (
	scaleFunctions = 1000
	scaleDays      = 365
	scaleRounds    = 7
	scaleTarget    = 500 // ms
)

// measureScale asks for due windows, the status and the overview of an archive with
// a year of windows of many functions. All windows are complete, the last ones are
// not yet compared with the source's counts, and one hour is due.
func measureScale(ctx context.Context, b *bench) ([]measure, error) {
	db, database, err := b.archive(ctx, "scale", 2)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	store := newStore(db)
	functions := make([]archive.Function, scaleFunctions)
	for i := range functions {
		name := fmt.Sprintf("scale-%04d", i)
		functions[i] = archive.Function{URN: "urn:fss:bench:" + name, Name: name}
	}
	known, err := store.SeeFunctions(ctx, archive.SourceID{Provider: "bench"}, functions, date)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	windows, err := fillWindows(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("fill the windows: %w", err)
	}
	b.progress("%d windows in %s", windows, time.Since(began).Round(time.Second))

	now := date.Add(time.Hour + settle + 7*time.Minute)
	due := archive.DueBefore(now, settle)
	const lookback = 30 * 24 * time.Hour
	order := archive.Order{
		AskedBy: "once", Older: true, Follow: true, VerifyAfter: verifyAfter,
		Range: archive.Span{From: due.Add(-lookback), To: due},
	}
	var forDue, forStatus, forOverview []float64
	for range scaleRounds {
		began := time.Now()
		found, err := store.Due(ctx, known, order, now)
		if err != nil {
			return nil, err
		}
		forDue = append(forDue, time.Since(began).Seconds()*1000)
		if len(found) != scaleFunctions || found[0].Windows != 1 {
			return nil, fmt.Errorf("%d functions are due", len(found))
		}
		began = time.Now()
		var status []read.Function
		err = read.New(db).Snapshot(ctx, func(s *read.Snapshot) error {
			if status, err = s.Functions(ctx); err != nil {
				return err
			}
			return s.CountOff(ctx, status)
		})
		if err != nil {
			return nil, err
		}
		forStatus = append(forStatus, time.Since(began).Seconds()*1000)
		if len(status) != scaleFunctions || status[0].Complete != windows/scaleFunctions {
			return nil, fmt.Errorf("%d functions have a status, the first %d windows complete", len(status), status[0].Complete)
		}
		began = time.Now()
		overview, err := read.New(db).Overview(ctx, time.Now(), read.Times{Given: 10 * 365 * 24 * time.Hour})
		if err != nil {
			return nil, err
		}
		forOverview = append(forOverview, time.Since(began).Seconds()*1000)
		if len(overview.Sources) != 1 || overview.Sources[0].WindowsComplete != windows {
			return nil, fmt.Errorf("the overview is %+v", overview)
		}
	}
	db.Close()
	return []measure{
		figure("windows, of functions", "%d, %d", windows, scaleFunctions),
		atMost("what is due, ms", "%.0f", median(forDue), scaleTarget),
		atMost("status, ms", "%.0f", median(forStatus), scaleTarget),
		atMost("what metrics tell, ms", "%.0f", median(forOverview), scaleTarget),
	}, b.drop(ctx, "scale")
}

func fillWindows(ctx context.Context, database string) (windows int64, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	tag, err := conn.Exec(ctx, `
		INSERT INTO archiver_internal.windows (function_id, window_start, state, planned, records, source_count, attempts, completed_at, verified_at)
		SELECT function_id, hour, 'complete', true, 10, 10, 1, hour + interval '77 minutes',
		       CASE WHEN hour < $2::timestamptz - $3::interval THEN hour + interval '8 hours' END
		  FROM functions, generate_series($1::timestamptz, $2::timestamptz - interval '1 hour', interval '1 hour') AS hour
		 ORDER BY function_id, hour`,
		date.AddDate(0, 0, -scaleDays), date, verifyAfter)
	if err != nil {
		return 0, err
	}
	// Autovacuum would do this later.
	if _, err := conn.Exec(ctx, `VACUUM (ANALYZE)`); err != nil {
		return 0, err
	}
	return tag.RowsAffected(), nil
}
