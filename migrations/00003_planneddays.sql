-- One record of the year 9999, or of 1970, gave function_daily a row for each day until
-- then: its days went from the first to the last day with records.

-- +goose Up

-- One row for each function and day, from the first to the last day with planned windows,
-- and for each other day with records. Days that retention dropped were planned if they
-- had complete hours. OFFSET 0 makes PostgreSQL look up both ends once for each function.
CREATE OR REPLACE VIEW function_daily AS
SELECT f.provider,
       f.region,
       f.project_id,
       f.function_urn,
       f.function_name,
       d.day::date AS day,
       COALESCE(g.records, 0) AS records,
       COALESCE(g.success, 0) AS success,
       COALESCE(g.fail, 0) AS fail,
       COALESCE(g.discard, 0) AS discard,
       COALESCE(g.in_flight, 0) AS in_flight,
       COALESCE(g.other, 0) AS other,
       (g.fail + g.discard)::double precision / NULLIF(g.records - g.in_flight, 0) AS failure_rate,
       COALESCE(g.timed, 0) AS timed,
       COALESCE(g.total_seconds, 0) AS total_seconds,
       g.total_seconds / NULLIF(g.timed, 0) AS mean_seconds,
       LEAST(histogram_percentile(g.histogram, 0.5), g.max_seconds) AS p50_seconds,
       LEAST(histogram_percentile(g.histogram, 0.95), g.max_seconds) AS p95_seconds,
       LEAST(histogram_percentile(g.histogram, 0.99), g.max_seconds) AS p99_seconds,
       g.max_seconds,
       g.histogram,
       GREATEST(g.complete_hours, (
	SELECT count(*)
	  FROM archiver_internal.windows w
	 WHERE w.function_id = f.function_id AND w.state = 'complete'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
       - CASE WHEN EXISTS (
	SELECT
	  FROM archiver_internal.notification_setting_versions s
	 WHERE s.function_urn = f.function_urn AND NOT s.enable_async_status_log) THEN (
	SELECT count(*)
	  FROM archiver_internal.window_states w
	 WHERE w.function_id = f.function_id AND w.state = 'off'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
	 ELSE 0 END)::integer AS complete_hours
  FROM functions f
 CROSS JOIN LATERAL (
	SELECT LEAST((SELECT min(day) FROM archiver_internal.daily_figures WHERE function_id = f.function_id AND complete_hours > 0)::timestamp,
	             (SELECT min(day) FROM archiver_internal.window_days WHERE function_id = f.function_id AND windows > 0) AT TIME ZONE 'UTC') AS first_day,
	       GREATEST((SELECT max(day) FROM archiver_internal.daily_figures WHERE function_id = f.function_id AND complete_hours > 0)::timestamp,
	                (SELECT max(day) FROM archiver_internal.window_days WHERE function_id = f.function_id AND windows > 0) AT TIME ZONE 'UTC') AS last_day
       OFFSET 0) AS planned
 CROSS JOIN LATERAL (
	SELECT generate_series(planned.first_day, planned.last_day, interval '1 day') AS day
	 UNION ALL
	SELECT day FROM archiver_internal.daily_figures
	 WHERE function_id = f.function_id AND records > 0
	   AND (day BETWEEN planned.first_day AND planned.last_day) IS NOT TRUE) AS d
  LEFT JOIN archiver_internal.daily_figures g ON g.function_id = f.function_id AND g.day = d.day::date;

-- +goose Down

CREATE OR REPLACE VIEW function_daily AS
SELECT f.provider,
       f.region,
       f.project_id,
       f.function_urn,
       f.function_name,
       d.day::date AS day,
       COALESCE(g.records, 0) AS records,
       COALESCE(g.success, 0) AS success,
       COALESCE(g.fail, 0) AS fail,
       COALESCE(g.discard, 0) AS discard,
       COALESCE(g.in_flight, 0) AS in_flight,
       COALESCE(g.other, 0) AS other,
       (g.fail + g.discard)::double precision / NULLIF(g.records - g.in_flight, 0) AS failure_rate,
       COALESCE(g.timed, 0) AS timed,
       COALESCE(g.total_seconds, 0) AS total_seconds,
       g.total_seconds / NULLIF(g.timed, 0) AS mean_seconds,
       LEAST(histogram_percentile(g.histogram, 0.5), g.max_seconds) AS p50_seconds,
       LEAST(histogram_percentile(g.histogram, 0.95), g.max_seconds) AS p95_seconds,
       LEAST(histogram_percentile(g.histogram, 0.99), g.max_seconds) AS p99_seconds,
       g.max_seconds,
       g.histogram,
       GREATEST(g.complete_hours, (
	SELECT count(*)
	  FROM archiver_internal.windows w
	 WHERE w.function_id = f.function_id AND w.state = 'complete'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
       - CASE WHEN EXISTS (
	SELECT
	  FROM archiver_internal.notification_setting_versions s
	 WHERE s.function_urn = f.function_urn AND NOT s.enable_async_status_log) THEN (
	SELECT count(*)
	  FROM archiver_internal.window_states w
	 WHERE w.function_id = f.function_id AND w.state = 'off'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
	 ELSE 0 END)::integer AS complete_hours
  FROM functions f
 CROSS JOIN LATERAL generate_series(
	LEAST((SELECT min(day) FROM archiver_internal.daily_figures WHERE function_id = f.function_id)::timestamp,
	      (SELECT min(day) FROM archiver_internal.window_days WHERE function_id = f.function_id AND windows > 0) AT TIME ZONE 'UTC'),
	GREATEST((SELECT max(day) FROM archiver_internal.daily_figures WHERE function_id = f.function_id)::timestamp,
	         (SELECT max(day) FROM archiver_internal.window_days WHERE function_id = f.function_id AND windows > 0) AT TIME ZONE 'UTC'),
	interval '1 day') AS d (day)
  LEFT JOIN archiver_internal.daily_figures g ON g.function_id = f.function_id AND g.day = d.day::date;
