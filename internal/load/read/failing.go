package read

import (
	"context"
	"time"

	"archiver/internal/load/pg"
)

// A Failing is a window that is short or failed. Times are in UTC. The JSON is that of
// archiver status --json.
type Failing struct {
	Provider string    `json:"provider"`
	URN      string    `json:"function_urn"`
	Start    time.Time `json:"window_start"`
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	// The smallest question that is known to fail, in whole seconds; nil if it is not known.
	RefusedFrom *time.Time `json:"refused_from,omitempty"`
	RefusedTo   *time.Time `json:"refused_to,omitempty"`
	RetryAt     *time.Time `json:"retry_at,omitempty"` // until then, run and once do not ask for it
	LastError   *string    `json:"last_error,omitempty"`
}

// Failing are the newest windows that are short or failed, at most n.
func (s *Snapshot) Failing(ctx context.Context, n int) ([]Failing, error) {
	return pg.Collect[Failing](ctx, s.tx, "windows that are short or failed", `
		SELECT f.provider, f.function_urn, w.window_start, w.state, w.attempts, w.refused_from, w.refused_to, w.retry_at, w.last_error
		  FROM windows w
		  JOIN functions f USING (function_id)
		 WHERE w.planned AND w.state NOT IN ('complete', 'gone', 'expired') AND w.state IN ('short', 'failed')
		 ORDER BY w.window_start DESC, f.function_urn
		 LIMIT @most`, pg.Args{"most": n})
}
