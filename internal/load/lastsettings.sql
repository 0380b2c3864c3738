-- The newest row of each version that came (@urns), and all rows that hold now of
-- the function. The last column says that the setting came as the row has it.
SELECT DISTINCT ON (v.function_urn)
       v.setting_id, v.function_urn, v.valid_from, v.valid_to, COALESCE(v.raw = n.raw::jsonb, false)
  FROM functions f
  JOIN notification_setting_versions v USING (provider, region, project_id)
  LEFT JOIN unnest(@urns::text[], @raw::text[]) AS n (urn, raw) ON n.urn = v.function_urn
 WHERE f.function_id = @function
   AND (n.urn IS NOT NULL OR v.valid_to IS NULL AND (v.function_id = @function OR v.function_urn = @urn))
 ORDER BY v.function_urn, v.valid_from DESC
