package days

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Analyze makes statistics of what has changed by a tenth since the last ones,
// and the indexes that days lack, so that they are there when the first query
// comes: autovacuum looks once a minute, and never at the partitioned parents. It is called when a run has
// written its pages; each table is analyzed for itself, in some milliseconds,
// and one that somebody else is at is left to them. A crash leaves those that
// are done.
//
// Less than 50 rows, as for autovacuum, are no change. Two signs say that a table has changed. Its size against the one that
// PostgreSQL noted then is exact at once, for tables that grow; the counter of
// changed rows sees what changed in place, some seconds late and not across a
// crash of the server.
func (s *Days) Analyze(ctx context.Context) error {
	conn, err := s.db.Session(ctx, map[string]string{"lock_timeout": "1s"})
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := indexDays(ctx, conn); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, `
		WITH candidates AS (
			SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages,
			       pg_relation_size(c.oid) / current_setting('block_size')::integer AS pages,
			       pg_stat_get_mod_since_analyze(c.oid) AS changed
			  FROM pg_class c
			  JOIN pg_namespace n ON n.oid = c.relnamespace
			  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'archiver_days.invocations_dated'::regclass
			 WHERE c.relkind = 'r' AND (i.inhrelid IS NOT NULL OR c.oid = ANY ('{
				functions, archiver_internal.windows, archiver_days.invocations_undated, archiver_internal.hourly_figures,
				archiver_internal.daily_figures, archiver_internal.source_figures, archiver_internal.hourly_error_codes}'::regclass[]))
		), described AS (
			SELECT DISTINCT schemaname, tablename
			  FROM pg_stats
			 WHERE schemaname IN (SELECT nspname FROM candidates) AND NOT inherited
		)
		SELECT oid::regclass::text
		  FROM candidates
		 WHERE pages > 0
		   AND ((nspname, relname) NOT IN (SELECT schemaname, tablename FROM described)
		        OR pages > 1.1 * relpages OR changed > 50 + 0.1 * reltuples)
		 ORDER BY relname`)
	if err != nil {
		return fmt.Errorf("select what to analyze: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read what to analyze: %w", err)
	}
	var failed []error
	for _, name := range names {
		if _, err := conn.Exec(ctx, `ANALYZE (SKIP_LOCKED) `+name); err != nil {
			failed = append(failed, fmt.Errorf("analyze %s: %w", name, err))
		}
	}
	return errors.Join(append(failed, analyzeAll(ctx, conn))...)
}

// analyzeAll makes the statistics of the whole, once there are twice as many
// rows as when they were last made. How many rows a query finds PostgreSQL
// works out from the days' own; the whole's say how many functions there are
// among them, and how the statuses and codes are spread, which changes slowly.
//
// Up to PostgreSQL 17 ANALYZE of a parent goes through all of its partitions,
// and samples them once for each of the three parents as well: 1,000 days of
// 4,000 rows take 10 s with the columns that queries group and join by, and 27 s
// with all.
func analyzeAll(ctx context.Context, conn *pgx.Conn) error {
	var due bool
	err := conn.QueryRow(ctx, `
		WITH leaves AS (
			SELECT sum(c.reltuples) FILTER (WHERE c.reltuples > 0) AS rows
			  FROM pg_partition_tree('invocations') t
			  JOIN pg_class c ON c.oid = t.relid
			 WHERE t.isleaf
		)
		SELECT COALESCE(leaves.rows > 0 AND (leaves.rows > 2 * p.reltuples AND p.reltuples > 0 OR NOT EXISTS (
			SELECT FROM pg_stats WHERE schemaname = n.nspname AND tablename = 'invocations' AND inherited)), false)
		  FROM leaves, pg_class p
		  JOIN pg_namespace n ON n.oid = p.relnamespace
		 WHERE p.oid = 'invocations'::regclass`).Scan(&due)
	if err == nil && due {
		_, err = conn.Exec(ctx, `ANALYZE (SKIP_LOCKED) invocations (function_id, status, error_code, start_time)`)
	}
	if err != nil {
		return fmt.Errorf("analyze the invocations: %w", err)
	}
	return nil
}
