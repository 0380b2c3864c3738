-- Functions that are gone, and were asked again within the last day. work.go has the same
-- rule.
SELECT function_id
  FROM functions
 WHERE function_id = ANY (@functions::integer[]) AND gone_at IS NOT NULL
   AND COALESCE(gone_asked_at, gone_at) > @now::timestamptz - interval '24 hours'
