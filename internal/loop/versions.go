package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"archiver/internal/archive"
)

// CallsForVersions is how many calls list the versions and aliases of a function.
const CallsForVersions = 2

// maxVersionFailures is how many lists of versions may fail before a run asks for no
// more of them. The source retries each call for a while, and windows matter more.
const maxVersionFailures = 3

// listVersions brings the lists of versions and aliases up to date. If a list fails,
// the run counts that in Left, and the next run asks for the list again. The versions
// known so far are read all the same.
func (r *run) listVersions(ctx context.Context, latest []archive.Known) error {
	versioner, ok := r.Source.(archive.Versioner)
	if !ok || r.Versions == nil {
		return nil
	}
	unlisted, err := r.Versions.Unlisted(ctx, latest, r.began)
	if err != nil {
		return fmt.Errorf("look up whose versions to list: %w", err)
	}
	var failures atomic.Int64
	asked := share(r, unlisted)
	r.forecast.expect(CallsForVersions * len(asked))
	return atOnce(ctx, r.Concurrency, asked, func(ctx context.Context, f archive.Known) error {
		defer r.forecast.expect(-CallsForVersions)
		if failures.Load() >= maxVersionFailures || r.gaveUpAs(f.ID) == archive.StatePending {
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
			return nil // reading its windows will mark it as gone
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
	case errors.Is(err, archive.ErrNoVersions): // the archive keeps the aliases that it has
	case err != nil:
		return sourceError(ctx, err)
	default:
		if err := r.Versions.SeeAliases(ctx, latest, aliases, r.began); err != nil {
			return fmt.Errorf("keep the aliases of %s: %w", latest.Name, err)
		}
	}
	// Also if the source has no such list: the next call is made after VersionsAge.
	if err := r.Versions.Listed(ctx, latest, r.began); err != nil {
		return fmt.Errorf("note that the versions of %s were listed: %w", latest.Name, err)
	}
	return nil
}

// KnownVersions returns the versions that a run reads in addition to the functions
// given. Each version is read as a function of its own: the vendor does not document
// whether the list of the latest version holds the records of other versions.
func (a *Archiver) KnownVersions(ctx context.Context, functions []archive.Known) ([]archive.Known, error) {
	if a.Versions == nil {
		return nil, nil
	}
	versions, err := a.Versions.Versions(ctx, a.Source.ID())
	if err != nil {
		return nil, fmt.Errorf("look up versions: %w", err)
	}
	return a.picked(versions, functions), nil
}

// picked are the versions that the settings pick, and that are not among the functions.
func (a *Archiver) picked(versions, functions []archive.Known) []archive.Known {
	listed := make(map[int32]bool, len(functions))
	for _, f := range functions {
		listed[f.ID] = true
	}
	return slices.DeleteFunc(versions, func(v archive.Known) bool {
		return listed[v.ID] || a.Match != nil && !a.Match(v.Function)
	})
}

// knownVersions are KnownVersions without those that the run ignores. It notes which
// versions a pass leaves out.
func (r *run) knownVersions(ctx context.Context, functions []archive.Known, summary *archive.Summary) ([]archive.Known, error) {
	if r.Versions == nil {
		return nil, nil
	}
	versions, err := r.Versions.Versions(ctx, r.Source.ID())
	if err != nil {
		return nil, fmt.Errorf("look up versions: %w", err)
	}
	if err := r.noteExcluded(ctx, versions, summary); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(r.picked(versions, functions), r.ignores), nil
}

// atOnce calls f with each of the items, n at once. The first error cancels the other
// calls and is returned; so is the cause if ctx ends.
func atOnce[T any](ctx context.Context, n int, items []T, f func(context.Context, T) error) error {
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(max(n, 1))
	for _, item := range items {
		group.Go(func() error {
			if each.Err() != nil {
				return context.Cause(each)
			}
			return f(each, item)
		})
	}
	return group.Wait()
}
