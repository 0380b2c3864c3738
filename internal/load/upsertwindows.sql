-- Upserts windows by what a commit changes in them. A row of changes without a
-- state came from a record found while another window was read: such a window is
-- not planned, and no run reads it for that.
INSERT INTO archiver_internal.windows AS w (
       function_id, window_start, state, planned, records, pending, rejected,
       source_count, attempts, last_error, completed_at, recheck_at)
SELECT c.function_id, c.window_start, COALESCE(c.state, 'pending'), c.state IS NOT NULL,
       c.records, c.pending, c.rejected,
       CASE WHEN c.state = 'complete' THEN COALESCE(c.source_count, c.records + c.rejected) ELSE c.source_count END,
       c.attempts, c.last_error, c.completed_at,
       -- Records in flight are asked for again later.
       CASE WHEN c.pending > 0 THEN c.recheck_at END
  FROM unnest(@functions::integer[], @starts::timestamptz[], @states::text[],
              @records::integer[], @pending::integer[], @rejected::integer[],
              @source_counts::integer[], @attempts::integer[], @errors::text[],
              @completed::timestamptz[], @rechecks::timestamptz[])
    AS c (function_id, window_start, state, records, pending, rejected,
          source_count, attempts, last_error, completed_at, recheck_at)
    ON CONFLICT (function_id, window_start) DO UPDATE
   SET records  = w.records + EXCLUDED.records,
       pending  = w.pending + EXCLUDED.pending,
       rejected = w.rejected + EXCLUDED.rejected,
       attempts = w.attempts + EXCLUDED.attempts,
       planned  = w.planned OR EXCLUDED.planned,
       -- A window that is read again stays complete until the walk ends.
       state        = CASE WHEN EXCLUDED.planned AND NOT (w.state = 'complete' AND EXCLUDED.state = 'partial') THEN EXCLUDED.state ELSE w.state END,
       last_error   = CASE WHEN EXCLUDED.planned AND NOT (w.state = 'complete' AND EXCLUDED.state = 'partial') THEN EXCLUDED.last_error ELSE w.last_error END,
       -- A window that was complete before keeps the times of then.
       completed_at = CASE WHEN EXCLUDED.planned AND NOT (w.state = 'complete' AND EXCLUDED.state = 'partial') AND NOT (w.state = 'complete' AND EXCLUDED.state = 'complete')
                           THEN EXCLUDED.completed_at ELSE w.completed_at END,
       verified_at  = CASE WHEN EXCLUDED.planned AND NOT (w.state = 'complete' AND EXCLUDED.state = 'partial') AND NOT (w.state = 'complete' AND EXCLUDED.state = 'complete')
                           THEN NULL ELSE w.verified_at END,
       rechecks     = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN w.rechecks ELSE 0 END,
       recheck_at   = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN COALESCE(w.recheck_at, EXCLUDED.recheck_at) END,
       -- Where the walk does not know the source's count, what the archive has now
       -- is the count.
       source_count = CASE WHEN NOT (EXCLUDED.planned AND NOT (w.state = 'complete' AND EXCLUDED.state = 'partial')) THEN w.source_count
                           WHEN EXCLUDED.state = 'complete' AND @uncounted
                           THEN w.records + w.rejected + EXCLUDED.records + EXCLUDED.rejected
                           ELSE EXCLUDED.source_count END
