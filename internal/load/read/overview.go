package read

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// An Overview is what the archive amounts to, for whoever watches it.
type Overview struct {
	Providers []ProviderOverview
	// LastSuccess is when a pass over everything due last ended with all of it
	// archived; nil for never.
	LastSuccess *time.Time
}

// ProviderOverview is that of one provider's functions.
type ProviderOverview struct {
	Provider  string
	Listed    int64 // functions that are not gone
	Gone      int64
	StatusOff int64 // of those listed: the source keeps no records of them now

	// Windows by state; complete ones include those that are off.
	WindowsPending, WindowsPartial, WindowsComplete, WindowsShort, WindowsFailed, WindowsGone int64

	Records, InFlight, Rejected int64

	OldestIncomplete *time.Time // the first window that is neither complete nor gone
	OldestDue        *time.Time // the first of these that the source still has
	OldestInFlight   *time.Time // the start of the record in flight for longest
}

// Overview reads it. The source of a provider has what began at since[provider]
// or later; of a provider that is not there, nobody knows. It costs the totals,
// and a look-up for each function with open windows, however long the history.
func (a *Archive) Overview(ctx context.Context, since map[string]time.Time) (f Overview, err error) {
	providers := slices.Collect(maps.Keys(since))
	from := make([]time.Time, len(providers))
	for i, p := range providers {
		from[i] = since[p]
	}
	rows, err := a.db.Pool.Query(ctx, selectOverview, providers, from)
	if err != nil {
		return f, fmt.Errorf("select what the archive amounts to: %w", err)
	}
	if f.Providers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ProviderOverview]); err != nil {
		return f, fmt.Errorf("read what the archive amounts to: %w", err)
	}
	// The newest are looked at first. A backfill says nothing of what is due.
	err = a.db.Pool.QueryRow(ctx, `
		SELECT (SELECT finished_at
		          FROM runs
		         WHERE outcome = 'complete' AND asked_by IN ('run', 'once')
		         ORDER BY run_id DESC
		         LIMIT 1)`).Scan(&f.LastSuccess)
	if err != nil {
		return f, fmt.Errorf("select the last success: %w", err)
	}
	return f, nil
}

// The totals do not tell pending windows from partial ones: a partial one has a
// walk that goes through it.
const selectOverview = `
	WITH partial AS (
		SELECT k.function_id, count(*) AS windows
		  FROM archiver_internal.walks k
		  JOIN archiver_internal.windows w
		    ON w.function_id = k.function_id
		   AND w.window_start >= k.span_from AND w.window_start < k.span_to
		 WHERE w.planned AND w.state = 'partial'
		 GROUP BY k.function_id
	), in_flight AS (
		SELECT function_id, min(COALESCE(start_time, queried_window, first_archived_at)) AS oldest
		  FROM archiver_days.invocations_in_flight
		 GROUP BY function_id
	), off AS (
		SELECT DISTINCT f.function_id
		  FROM functions f
		  JOIN status_log_off o USING (function_urn, provider, region, project_id)
		 WHERE o.off_to IS NULL
	)
	SELECT f.provider,
	       count(*) FILTER (WHERE f.gone_at IS NULL),
	       count(*) FILTER (WHERE f.gone_at IS NOT NULL),
	       count(off.function_id) FILTER (WHERE f.gone_at IS NULL),
	       sum(GREATEST(t.open - t.short - t.failed - COALESCE(p.windows, 0), 0))::bigint,
	       COALESCE(sum(p.windows), 0)::bigint,
	       sum(t.complete)::bigint,
	       sum(t.short)::bigint,
	       sum(t.failed)::bigint,
	       sum(t.gone)::bigint,
	       sum(t.records)::bigint,
	       sum(t.pending)::bigint,
	       sum(t.rejected)::bigint,
	       min(o.open_since),
	       min(d.due_since),
	       min(i.oldest)
	  FROM functions f
	  JOIN archiver_internal.window_totals t USING (function_id)
	  LEFT JOIN partial p USING (function_id)
	  LEFT JOIN in_flight i USING (function_id)
	  LEFT JOIN off USING (function_id)
	  LEFT JOIN LATERAL (
		SELECT window_start AS open_since
		  FROM archiver_internal.windows
		 WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone')
		 ORDER BY window_start
		 LIMIT 1) o ON true
	  LEFT JOIN unnest($1::text[], $2::timestamptz[]) AS s (provider, since) ON s.provider = f.provider
	  LEFT JOIN LATERAL (
		SELECT window_start AS due_since
		  FROM archiver_internal.windows
		 WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone')
		   AND window_start >= s.since
		 ORDER BY window_start
		 LIMIT 1) d ON true
	 GROUP BY f.provider
	 ORDER BY f.provider`
