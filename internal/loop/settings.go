package loop

import (
	"context"
	"errors"
	"fmt"

	"archiver/internal/archive"
)

// maxSettingsFailures is how many calls for settings may fail before a run makes no
// more of them. The source retries each call for a while, and windows matter more.
const maxSettingsFailures = 3

// readSettings asks for the function's settings if they are due, and keeps them. It
// logs a failure, and the next run asks again: the function's windows do not depend
// on its settings. It returns an error only if the run or the claim ends.
func (r *run) readSettings(ctx context.Context, w *walker, t *turn) error {
	source, ok := r.Source.(archive.SettingsSource)
	if !ok || !t.Settings || t.failures > 0 || r.settingsFailures.Load() >= maxSettingsFailures {
		return nil
	}
	asked, err := w.claim.SettingsAsked(ctx)
	if err != nil {
		return fmt.Errorf("look up when %s was asked for its settings: %w", t.Name, err)
	}
	if r.Clock.Now().Sub(asked).Abs() < archive.SettingsEvery {
		return nil // another process has asked since this run planned
	}
	s, err := archive.ReadSettings(ctx, source, t.Function)
	if err == nil {
		err = w.claim.KeepSettings(ctx, s, r.Clock.Now())
	}
	switch cause := context.Cause(ctx); {
	case err == nil:
		if len(s.Rejected) > 0 {
			r.Log.Warn("settings that no row can hold were rejected", "function", t.URN, "settings", len(s.Rejected))
		}
		return nil
	case cause != nil:
		return cause
	case errors.Is(err, archive.ErrClaimLost):
		return err
	case errors.Is(err, archive.ErrDenied):
		if r.settingsFailures.Swap(maxSettingsFailures) < maxSettingsFailures {
			r.Log.Warn("settings are denied, no more are asked for in this run", append([]any{"function", t.URN}, archive.ErrorKeys(err)...)...)
		}
		return nil
	}
	message := "settings could not be kept, the next run asks again"
	if r.settingsFailures.Add(1) == maxSettingsFailures {
		message = "settings could not be kept, no more are asked for in this run"
	}
	r.Log.Warn(message, append([]any{"function", t.URN}, archive.ErrorKeys(err)...)...)
	return nil
}
