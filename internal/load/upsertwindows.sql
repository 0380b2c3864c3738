-- Upserts windows by what a commit changes in them. A row of changes without a
-- state came from a record found while another window was read: such a window is
-- not planned, and no run reads it for that.
INSERT INTO windows AS w (
       function_id, window_start, state, planned, records, pending, rejected,
       source_count, attempts, last_error, completed_at, recheck_at,
       missed, unproven, refused_from, refused_to, stuck, retry_at)
SELECT c.function_id, c.window_start, COALESCE(c.state, 'pending'), c.state IS NOT NULL,
       c.records, c.pending, c.rejected,
       CASE WHEN c.state = 'complete' THEN COALESCE(c.source_count, c.records + c.rejected) ELSE c.source_count END,
       c.attempts, c.last_error, c.completed_at,
       -- Records in flight are asked for again later.
       CASE WHEN c.pending > 0 THEN c.recheck_at END,
       c.missed, c.unproven, c.refused_from, c.refused_to, (c.retry_at IS NOT NULL)::integer, c.retry_at
  FROM unnest(@functions::integer[], @starts::timestamptz[], @states::text[],
              @records::integer[], @pending::integer[], @rejected::integer[],
              @source_counts::integer[], @attempts::integer[], @errors::text[],
              @completed::timestamptz[], @rechecks::timestamptz[],
              @missed::boolean[], @unproven::boolean[], @bare::boolean[],
              @refused_from::timestamptz[], @refused_to::timestamptz[], @retries::timestamptz[])
    AS c (function_id, window_start, state, records, pending, rejected,
          source_count, attempts, last_error, completed_at, recheck_at,
          missed, unproven, bare, refused_from, refused_to, retry_at)
 WHERE NOT c.bare OR c.records <> 0 OR c.rejected <> 0 OR EXISTS (
    SELECT FROM windows o
     WHERE o.function_id = c.function_id AND o.window_start = c.window_start)
    ON CONFLICT (function_id, window_start) DO UPDATE
   SET records  = w.records + EXCLUDED.records,
       pending  = w.pending + EXCLUDED.pending,
       rejected = w.rejected + EXCLUDED.rejected,
       attempts = w.attempts + EXCLUDED.attempts,
       planned  = w.planned OR EXCLUDED.planned,
       rechecks   = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN w.rechecks ELSE 0 END,
       recheck_at = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN COALESCE(w.recheck_at, EXCLUDED.recheck_at) END,
       (state, last_error, completed_at, verified_at, source_count, missed, unproven, acknowledged_at,
        refused_from, refused_to, stuck, retry_at) = (
        SELECT CASE WHEN n.decides THEN EXCLUDED.state ELSE w.state END,
               CASE WHEN n.decides THEN EXCLUDED.last_error ELSE w.last_error END,
               -- A window that was complete before keeps the times of then, and so does
               -- one that was expired before.
               CASE WHEN n.decides AND NOT n.stays THEN EXCLUDED.completed_at
                    WHEN n.decides THEN COALESCE(w.completed_at, EXCLUDED.completed_at) ELSE w.completed_at END,
               CASE WHEN NOT n.decides OR n.stays THEN w.verified_at END,
               -- Where the walk does not know the source's count, what the archive has now
               -- is the count. A window that is not complete keeps the greatest count that
               -- is known: no smaller count completes an old window.
               CASE WHEN NOT n.decides THEN w.source_count
                    WHEN EXCLUDED.state <> 'complete' THEN GREATEST(w.source_count, EXCLUDED.source_count)
                    ELSE n.count END,
               CASE WHEN n.decides THEN EXCLUDED.missed ELSE w.missed END,
               CASE WHEN n.decides THEN EXCLUDED.unproven ELSE w.unproven END,
               CASE WHEN NOT n.decides OR n.stays THEN w.acknowledged_at END,
               -- The smallest question that is known to fail is known until the window is
               -- read. A question for several windows names no smaller one.
               CASE WHEN n.decides AND EXCLUDED.state IN ('complete', 'gone') THEN NULL
                    WHEN n.decides AND n.wide IS NOT TRUE THEN COALESCE(EXCLUDED.refused_from, w.refused_from)
                    WHEN n.decides THEN COALESCE(w.refused_from, EXCLUDED.refused_from) ELSE w.refused_from END,
               CASE WHEN n.decides AND EXCLUDED.state IN ('complete', 'gone') THEN NULL
                    WHEN n.decides AND n.wide IS NOT TRUE THEN COALESCE(EXCLUDED.refused_to, w.refused_to)
                    WHEN n.decides THEN COALESCE(w.refused_to, EXCLUDED.refused_to) ELSE w.refused_to END,
               CASE WHEN NOT n.decides THEN w.stuck
                    WHEN EXCLUDED.state IN ('partial', 'failed', 'short') THEN w.stuck + EXCLUDED.stuck ELSE 0 END,
               -- A window that is stuck waits for twice as long after each failure, at most
               -- for a day.
               CASE WHEN n.decides THEN EXCLUDED.retry_at + interval '1 hour' * (LEAST(1 << LEAST(w.stuck, 5), 24) - 1)
                    ELSE w.retry_at END
          FROM (
            SELECT EXCLUDED.planned
                   -- A window that is read again stays complete or expired until the walk
                   -- ends. A complete window never expires, and an expired window is not
                   -- completed by less than is known of it.
                   AND NOT (w.state IN ('complete', 'expired') AND EXCLUDED.state = 'partial')
                   AND NOT (w.state = 'complete' AND EXCLUDED.state = 'expired')
                   AND NOT (w.state = 'expired' AND EXCLUDED.state = 'complete'
                            AND c.count < GREATEST(w.source_count, c.held)) AS decides,
                   w.state IN ('complete', 'expired') AND EXCLUDED.state = w.state AS stays, c.count,
                   EXCLUDED.refused_to - EXCLUDED.refused_from > interval '2 hours' AS wide
              FROM (
                SELECT h.held, CASE WHEN @uncounted THEN h.held ELSE EXCLUDED.source_count END AS count
                  FROM (SELECT w.records + w.rejected + EXCLUDED.records + EXCLUDED.rejected AS held) AS h) AS c) AS n)
