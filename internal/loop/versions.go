package loop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"archiver/internal/archive"
)

// maxVersionFailures is how many lists of versions may fail before a run asks for
// no more: the source retries each one for a while, and windows matter more.
const maxVersionFailures = 3

// listVersions brings the lists of versions and aliases up to date. A list that
// fails is counted in Left and left to the next run; versions that are known
// already are read.
func (r *run) listVersions(ctx context.Context, latest []archive.Known) error {
	versioner, ok := r.Source.(archive.Versioner)
	if !ok || r.Versions == nil {
		return nil
	}
	unlisted, err := r.Versions.Unlisted(ctx, latest, r.began)
	if err != nil {
		return fmt.Errorf("look up whose versions to list: %w", err)
	}
	// In random order, two processes that begin together list a function once, and
	// functions that cannot be listed do not keep others from their turn.
	rand.Shuffle(len(unlisted), func(i, j int) { unlisted[i], unlisted[j] = unlisted[j], unlisted[i] })
	var failures atomic.Int64
	return atOnce(ctx, r.Concurrency, unlisted, func(ctx context.Context, f archive.Known) error {
		if failures.Load() >= maxVersionFailures {
			return nil
		}
		still, err := r.Versions.Unlisted(ctx, []archive.Known{f}, r.began)
		if err != nil || len(still) == 0 {
			return err
		}
		err = r.seeVersions(ctx, versioner, f)
		var failed *archive.SourceError
		switch {
		case errors.Is(err, archive.ErrGone):
			return nil // as its windows will tell
		case !errors.As(err, &failed):
			return err
		case errors.Is(err, archive.ErrDenied):
			failures.Add(maxVersionFailures)
		default:
			failures.Add(1)
		}
		r.progress.Update(func(t *archive.Totals) { t.Left++ })
		r.Log.Warn("versions could not be listed, the next run asks again", append([]any{"function", f.URN}, archive.ErrorKeys(err)...)...)
		return nil
	})
}

// seeVersions lists and keeps the versions and aliases of one function. After a
// crash in here the next run lists them again.
func (r *run) seeVersions(ctx context.Context, versioner archive.Versioner, latest archive.Known) error {
	versions, err := versioner.Versions(ctx, latest.Function)
	if len(versions) > 0 {
		if err := r.Versions.SeeVersions(ctx, latest, versions, r.began); err != nil {
			return fmt.Errorf("keep the versions of %s: %w", latest.Name, err)
		}
	}
	var aliases []archive.Alias
	if err == nil {
		aliases, err = versioner.Aliases(ctx, latest.Function)
	} else if errors.Is(err, archive.ErrNoVersions) {
		r.Log.Info("the latest version of the function is read alone", "function", latest.URN, "error", err)
	}
	switch {
	case errors.Is(err, archive.ErrNoVersions): // what there was of them stays
	case err != nil:
		return sourceError(ctx, err)
	default:
		if err := r.Versions.SeeAliases(ctx, latest, aliases, r.began); err != nil {
			return fmt.Errorf("keep the aliases of %s: %w", latest.Name, err)
		}
	}
	// Also if there is no such list: it is asked for again after VersionsAge.
	if err := r.Versions.Listed(ctx, latest, r.began); err != nil {
		return fmt.Errorf("note that the versions of %s were listed: %w", latest.Name, err)
	}
	return nil
}

// KnownVersions are the versions that a run reads in addition to the functions
// given. Each is read as a function of its own: whether the list of the latest
// holds the records of other versions is on no page of the vendor.
func (a *Archiver) KnownVersions(ctx context.Context, functions []archive.Known) ([]archive.Known, error) {
	if a.Versions == nil {
		return nil, nil
	}
	versions, err := a.Versions.Versions(ctx, a.Source.ID())
	if err != nil {
		return nil, fmt.Errorf("look up versions: %w", err)
	}
	listed := make(map[int32]bool, len(functions))
	for _, f := range functions {
		listed[f.ID] = true
	}
	return slices.DeleteFunc(versions, func(v archive.Known) bool {
		return listed[v.ID] || a.Match != nil && !a.Match(v.Function)
	}), nil
}

// atOnce calls f with each of the items, so many at once. The first error ends
// it.
func atOnce[T any](ctx context.Context, n int, items []T, f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(max(n, 1), len(items)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				if err := f(ctx, items[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}
