package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// Due picks the functions that have something to do: windows of the order's
// range that are not complete, whether or not there is a row of them yet; with
// Older those before it that were begun; records in flight and counts whose
// time has come. What is oldest comes first: it is what the source forgets
// first.
//
// It goes by the totals, and looks at windows only where these do not tell: at
// those open, and at all of the range for a function that has other holes in
// it. What that costs grows with the range, not with the history.
func (s *Store) Due(ctx context.Context, functions []archive.Known, o archive.Order, at time.Time) ([]archive.Due, error) {
	ids := make([]int32, len(functions))
	known := make(map[int32]archive.Known, len(functions))
	for i, f := range functions {
		ids[i], known[f.ID] = f.ID, f
	}
	rows, err := s.pool.Query(ctx, selectDue,
		ids, o.Range.From, o.Range.To, o.Range.Windows(), o.Force, o.Older, o.Compare, o.Follow, at, verifyDue(o, at),
		o.Rest, archive.RestAtMost, archive.SettingsEvery)
	if err != nil {
		return nil, fmt.Errorf("select what is due: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d archive.Due, err error) {
		var id int32
		err = row.Scan(&id, &d.Windows, &d.Oldest, &d.Settings)
		d.Known = known[id]
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	return due, nil
}

// selectDue takes the functions, the range and its hours, Force, Older,
// Compare, Follow, now, until when a window to verify was completed, Rest, how
// long that is at most, and how often settings are asked for.
//
// Between a function's first complete window and the end of its last one lie
// within hours, shared of them in the range; holes of them are not complete.
// Where as many windows are open as there are holes and open ones outside, all
// holes are open windows. Those that were gone count as decided until their
// function is back.
//
// OFFSET 0 has the look-ups made one by one: to hash all that is not verified
// would be a scan.
const selectDue = `
	WITH counted AS (
		SELECT id, gone_at, COALESCE(settings_asked_at <= $9::timestamptz - $13::interval OR settings_asked_at >= $9::timestamptz + $13::interval, true) AS settings,
		       complete_from, complete_to, unverified_since,
		       $11 AND COALESCE(complete > 0 AND open = 0 AND $2 >= complete_from
			AND EXTRACT(EPOCH FROM complete_to - complete_from)::integer / 3600 = complete
			AND $3 - complete_to < LEAST($12, (complete_to - COALESCE(recorded_to, complete_from)) / 8), false) AS rests,
		       COALESCE(complete, 0) AS complete, COALESCE(open, 0) AS open, COALESCE(gone, 0) AS gone,
		       COALESCE(EXTRACT(EPOCH FROM complete_to - complete_from)::integer / 3600, 0) AS within,
		       CASE WHEN complete > 0 THEN GREATEST(0,
			EXTRACT(EPOCH FROM LEAST(complete_to, $3) - GREATEST(complete_from, $2))::integer / 3600) ELSE 0 END AS shared
		  FROM unnest($1::integer[]) AS id
		  LEFT JOIN functions f ON f.function_id = id
		  LEFT JOIN archiver_internal.window_totals t ON t.function_id = id
	), decided AS MATERIALIZED (
		SELECT *, CASE
			WHEN $5 THEN 0
			WHEN gone_at IS NOT NULL AND gone > 0 THEN (
				SELECT count(*)
				  FROM archiver_internal.windows
				 WHERE function_id = id AND window_start >= $2 AND window_start < $3 AND state IN ('complete', 'gone'))
			WHEN shared = within THEN complete
			WHEN shared = 0 OR complete = within THEN shared
			WHEN open - (within - complete) BETWEEN 0 AND $4 AND open - (within - complete) = (
				SELECT count(*)
				  FROM archiver_internal.windows
				 WHERE function_id = id AND window_start < complete_from
				   AND planned AND state NOT IN ('complete', 'gone')) + (
				SELECT count(*)
				  FROM archiver_internal.windows
				 WHERE function_id = id AND window_start >= complete_to
				   AND planned AND state NOT IN ('complete', 'gone'))
			THEN shared - (
				SELECT count(*)
				  FROM archiver_internal.windows
				 WHERE function_id = id
				   AND window_start >= GREATEST(complete_from, $2) AND window_start < LEAST(complete_to, $3)
				   AND planned AND state NOT IN ('complete', 'gone'))
			ELSE (
				SELECT count(*)
				  FROM archiver_internal.windows
				 WHERE function_id = id AND window_start >= $2 AND window_start < $3 AND state = 'complete')
			END AS decided,
		       CASE WHEN $6 AND open > 0 THEN (
				SELECT min(window_start)
				  FROM archiver_internal.windows
				 WHERE function_id = id AND window_start < $2
				   AND planned AND state NOT IN ('complete', 'gone')) END AS older
		  FROM counted
	), due AS MATERIALIZED (
		SELECT id, settings, unverified_since, decided, older, gone_at, gone, complete, within, complete_from, complete_to,
		       CASE WHEN $7 OR rests THEN 0 ELSE $4 - decided + CASE WHEN older IS NULL THEN 0 ELSE open - (
				SELECT count(*)
				  FROM archiver_internal.windows
				 WHERE function_id = id AND window_start >= $2
				   AND planned AND state NOT IN ('complete', 'gone')) END END AS windows
		  FROM decided
	)
	SELECT id, windows, COALESCE(older, CASE
			WHEN $5 OR decided = $4 THEN $2
			WHEN gone_at IS NULL AND complete = within THEN
				CASE WHEN $2 < complete_from OR complete = 0 THEN $2 ELSE GREATEST($2, complete_to) END
			ELSE (
				SELECT min(hour)
				  FROM generate_series($2, $3 - interval '1 hour', interval '1 hour') AS hour
				  LEFT JOIN archiver_internal.windows ON function_id = id AND window_start = hour AND window_start >= $2 AND window_start < $3
				 WHERE state IS NULL OR state <> 'complete' AND (state <> 'gone' OR gone_at IS NULL))
			END, $2) AS oldest,
	       settings AND windows > 0
	  FROM due
	 WHERE windows > 0 OR $7 OR $8 AND EXISTS (
			SELECT FROM archiver_internal.windows
			 WHERE function_id = id AND recheck_at <= $9 OFFSET 0)
	    OR unverified_since <= $10 AND EXISTS (
			SELECT FROM archiver_internal.windows
			 WHERE function_id = id AND window_start >= $2 AND state = 'complete'
			   AND verified_at IS NULL AND completed_at <= $10 OFFSET 0)
	 ORDER BY oldest, windows DESC, id`

// Plan gives the windows that are due a row each, where they have none: what
// was asked for and not reached is to be seen, and later runs come to it.
func (s *Store) Plan(ctx context.Context, due []archive.Due, o archive.Order) error {
	if o.Compare {
		return nil
	}
	var ids []int32
	for _, d := range due {
		if d.Windows > 0 {
			ids = append(ids, d.ID)
		}
	}
	var batch pgx.Batch // one transaction
	batch.Queue(pg.LockTotals, ids)
	batch.Queue(insertPlanned, ids, o.Range.From, o.Range.To)
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("insert the windows of %d functions: %w", len(ids), err)
	}
	return nil
}

// insertPlanned inserts the hours on either side of what a function has
// planned; the rows of the range are compared only where that has holes.
const insertPlanned = `
	INSERT INTO archiver_internal.windows AS w (function_id, window_start, planned)
	SELECT id, hour, true
	  FROM (
		SELECT id, planned_from, planned_to,
		       COALESCE(windows = EXTRACT(EPOCH FROM planned_to - planned_from)::integer / 3600, false) AS solid
		  FROM unnest($1::integer[]) AS id
		  LEFT JOIN archiver_internal.window_totals t ON t.function_id = id) AS f
	 CROSS JOIN LATERAL (
		SELECT hour
		  FROM generate_series($2::timestamptz, LEAST($3, planned_from) - interval '1 hour', interval '1 hour') AS hour
		 WHERE solid
		UNION ALL
		SELECT hour
		  FROM generate_series(GREATEST($2, planned_to), $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
		 WHERE solid
		UNION ALL (
			SELECT hour
			  FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
			 WHERE NOT solid
			EXCEPT
			SELECT window_start
			  FROM archiver_internal.windows
			 WHERE NOT solid AND function_id = id AND window_start >= $2 AND window_start < $3 AND planned)) AS missing
	 ORDER BY id, hour
	    ON CONFLICT (function_id, window_start) DO UPDATE
	   SET planned = true
	 WHERE NOT w.planned`
