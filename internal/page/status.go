package page

import (
	"context"
	"encoding/json"
	"net/http"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// The most runs and failing windows in JSON.
const (
	statusRuns    = 5
	statusFailing = 1000
)

// A Status is what archiver status --json prints, and /api/status answers.
type Status struct {
	Verdict   read.Verdict    `json:"verdict"`
	Size      read.Size       `json:"size"`
	Functions []read.Function `json:"functions"`
	Runs      []read.Run      `json:"runs"`
	Failing   []read.Failing  `json:"failing"` // the newest windows that are short or failed
	Lists     []read.List     `json:"function_lists"`
	Limits    []read.Limit    `json:"limits"`
	LockWaits []read.LockWait `json:"lock_waits"` // of more than five seconds
}

// Status reads the status of the archive from one snapshot, and its size.
func (p *Page) Status(ctx context.Context) (s Status, err error) {
	err = p.load(ctx, request{}, func(l *loader) error {
		s.Verdict, s.Size, s.Functions, s.Lists, s.Limits, s.LockWaits = l.judged, l.size, l.functions, l.lists, l.limits, l.waits
		if err := l.CountOff(ctx, s.Functions); err != nil {
			return err
		}
		if s.Runs, err = l.Runs(ctx, statusRuns, l.now.Add(-archive.DeadAfter)); err != nil {
			return err
		}
		s.Failing, err = l.Failing(ctx, statusFailing)
		return err
	})
	return s, err
}

// ServeStatus answers GET with the Status as JSON.
func (p *Page) ServeStatus(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	s, err := p.Status(ctx)
	if err != nil {
		// The reason is only logged: a database error may contain private names.
		p.Log.Warn("cannot answer with the status", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"the archive cannot be read"}`))
		return
	}
	// The client may be gone.
	_ = json.NewEncoder(w).Encode(s)
}
