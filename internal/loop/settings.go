package loop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"archiver/internal/archive"
)

// maxSettingsFailures is how many calls for settings may fail before a run makes no
// more of them. The source retries each call for a while, and windows matter more.
const maxSettingsFailures = 3

// readAllSettings asks for the settings of the functions whose settings are due. A run
// that is one of many asks for a part of them, so that its calls are spread over the day.
func (r *run) readAllSettings(ctx context.Context) error {
	source, ok := r.Source.(archive.SettingsSource)
	if !ok {
		return nil
	}
	due := share(r, r.settingsDue)
	read := func(ctx context.Context, d archive.Due) error {
		defer r.forecast.expect(-1)
		if r.settingsFailures.Load() >= maxSettingsFailures || r.gaveUpAs(d.ID) == archive.StatePending {
			return nil
		}
		err := r.readSettings(ctx, source, d.Known)
		if errors.Is(err, archive.ErrClaimed) || errors.Is(err, archive.ErrClaimLost) {
			return nil // another process asks, or the next run
		}
		return err
	}
	// A call for the latest version may give the settings of all versions.
	versions := slices.DeleteFunc(slices.Clone(due), func(d archive.Due) bool { return d.LatestID == 0 })
	due = slices.DeleteFunc(due, func(d archive.Due) bool { return d.LatestID != 0 })
	if err := atOnce(ctx, r.Concurrency, due, read); err != nil {
		return err
	}
	return atOnce(ctx, r.Concurrency, versions, read)
}

// The least number of functions that one run asks for versions or settings, and the
// share of all functions that is due.
const (
	leastShare = 20
	shares     = 12
)

// share returns the functions that a run asks for something that no record waits for.
// A run that others follow asks a part of them, so that the calls are spread over the
// day. The order is random: functions that fail do not come first in every run.
func share[T any](r *run, due []T) []T {
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	return due[:r.shareOf(len(due))]
}

// shareOf returns how many of so many functions share returns.
func (r *run) shareOf(functions int) int {
	if r.order.Follow {
		return min(functions, max(leastShare, functions/shares))
	}
	return functions
}

// readSettings asks for a function's settings, and keeps them. It logs a failure, and
// the next run asks again: the function's windows do not depend on its settings. It
// returns an error only if the run or the claim ends.
func (r *run) readSettings(ctx context.Context, source archive.SettingsSource, f archive.Known) (err error) {
	claim, err := r.claim(ctx, f)
	if err != nil {
		return err
	}
	defer func() {
		if released := r.releaseClaim(ctx, claim, f); released != nil && err == nil {
			err = released
		}
	}()
	asked, err := claim.SettingsAsked(ctx)
	if err != nil {
		return fmt.Errorf("look up when %s was asked for its settings: %w", f.Name, err)
	}
	if r.Clock.Now().Sub(asked).Abs() < archive.SettingsEvery {
		return nil // another process has asked since this run planned
	}
	s, err := archive.ReadSettings(ctx, source, f.Function)
	if err == nil {
		err = claim.KeepSettings(ctx, s, r.Clock.Now())
	}
	switch cause := context.Cause(ctx); {
	case err == nil:
		if len(s.Rejected) > 0 {
			r.Log.Warn("settings that no row can hold were rejected", "function", f.URN, "settings", len(s.Rejected))
		}
		return nil
	case cause != nil:
		return cause
	case errors.Is(err, archive.ErrClaimLost):
		return err
	case errors.Is(err, archive.ErrDenied):
		if r.settingsFailures.Swap(maxSettingsFailures) < maxSettingsFailures {
			r.Log.Warn("settings are denied, no more are asked for in this run", append([]any{"function", f.URN}, archive.ErrorKeys(err)...)...)
		}
		return nil
	}
	message := "settings could not be kept, the next run asks again"
	if r.settingsFailures.Add(1) == maxSettingsFailures {
		message = "settings could not be kept, no more are asked for in this run"
	}
	r.Log.Warn(message, append([]any{"function", f.URN}, archive.ErrorKeys(err)...)...)
	return nil
}
