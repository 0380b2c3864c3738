package read

import (
	"context"

	"archiver/internal/load/pg"
)

// A FunctionOff is how many complete windows of a function are off: the source
// kept no records in all of their hour.
type FunctionOff struct {
	FunctionID int32
	Windows    int64
}

// Off are the functions that have windows that are off. It reads the windows of
// functions alone whose status log is, or was, off.
func (s *Snapshot) Off(ctx context.Context) ([]FunctionOff, error) {
	return pg.Collect[FunctionOff](ctx, s.tx, "the windows that are off", `
		SELECT k.function_id, c.off
		  FROM (
			SELECT DISTINCT f.function_id
			  FROM status_log_off p
			  JOIN functions f USING (function_urn, provider, region, project_id)) k
		 CROSS JOIN LATERAL (
			SELECT count(*) AS off
			  FROM archiver_internal.window_states
			 WHERE function_id = k.function_id AND state = 'off') c
		 WHERE c.off > 0`)
}
