package archive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A Versioner is a Source whose functions have versions beside the latest, which
// is what Functions lists: each is a Function of its own.
type Versioner interface {
	// Versions lists the versions of a function, without the latest, and its
	// aliases. Its error matches ErrGone where the function does not exist, and
	// ErrNoVersions where the source does not list such things.
	Versions(ctx context.Context, latest Function) (Versions, error)
}

// ErrNoVersions is matched where a source lists no versions of functions.
var ErrNoVersions = errors.New("the source lists no versions of functions")

// Versions are those of one function.
type Versions struct {
	Functions []Function
	Aliases   []Alias
}

// An Alias is another name for a version.
type Alias struct {
	Name, Version string
	Description   string
	Additional    []byte // a JSON object of other versions' shares of the calls, in percent; nil for none
}

// VersionsAge is how long a list of a function's versions is used, and how long
// what was found of a version's answers, whether another's hold them, is
// believed.
const VersionsAge = 24 * time.Hour

// A Version is a version of a function, beside the latest.
type Version struct {
	Known            // LatestID is set
	LatestURN string // of the latest
	Covered   bool   // the answers for the latest held all that those for this one did, when last looked at
	LookAgain bool   // that was long ago, or never
	// Latest are the hours from the last of those that were looked at then to the
	// last one in which the latest is complete. It has none where there is
	// nothing to look at.
	Latest Span
}

// A VersionStore keeps which versions functions have.
type VersionStore interface {
	// Unlisted are those of the functions whose versions are to be listed: they
	// never were, were VersionsAge ago, or the function has changed since.
	Unlisted(ctx context.Context, latest []Known, at time.Time) ([]Known, error)
	// SeeVersions notes the versions and aliases of a function.
	SeeVersions(ctx context.Context, latest Known, v Versions, at time.Time) error
	// Versions are those of the source's functions that are not gone.
	Versions(ctx context.Context, source SourceID, at time.Time) ([]Version, error)
	// Elsewhere splits a page of a version's records: those that the archive has
	// under another function, and those it has not.
	Elsewhere(ctx context.Context, v Known, page []Invocation) (there, not []Invocation, err error)
	// Cover notes whether a version is covered, as of the end of v.Latest.
	Cover(ctx context.Context, v Version, covered bool, at time.Time) error
}

// listVersions brings the list of versions up to date. After the first that
// cannot be had, no more are asked for: they are left to the next run, as a
// question without an answer, and what is known already is read all the same.
func (r *run) listVersions(ctx context.Context, latest []Known) error {
	versioner, ok := r.Source.(Versioner)
	if !ok || r.Versions == nil {
		return nil
	}
	unlisted, err := r.Versions.Unlisted(ctx, latest, r.began)
	if err != nil {
		return fmt.Errorf("look up whose versions to list: %w", err)
	}
	err = atOnce(ctx, r.Concurrency, unlisted, func(ctx context.Context, f Known) error {
		return r.seeVersions(ctx, versioner, f)
	})
	if errors.Is(err, errUnlisted) {
		return nil
	}
	return err
}

// versions are those known of the functions that the run is for, beside the
// latest.
func (r *run) versions(ctx context.Context, latest []Known) ([]Version, error) {
	if r.Versions == nil {
		return nil, nil
	}
	known, err := r.Versions.Versions(ctx, r.Source.ID(), r.began)
	if err != nil {
		return nil, fmt.Errorf("look up versions: %w", err)
	}
	read := make(map[int32]bool, len(latest))
	for _, f := range latest {
		read[f.ID] = true
	}
	var versions []Version
	for _, v := range known {
		if read[v.ID] || r.Match != nil && !r.Match(v.Function) {
			continue // it is listed by itself, or not asked for
		}
		if !read[v.LatestID] {
			// Nobody asks for what would cover it.
			v.Covered, v.LookAgain = false, false
		}
		versions = append(versions, v)
	}
	return versions, nil
}

// errUnlisted ends listing versions where one of the lists cannot be had.
var errUnlisted = errors.New("versions could not be listed")

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

func (r *run) seeVersions(ctx context.Context, versioner Versioner, latest Known) error {
	v, err := versioner.Versions(ctx, latest.Function)
	switch {
	case err != nil && context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrGone):
		return nil
	case errors.Is(err, ErrNoVersions):
		// Asked for again when a list would have become old.
		r.Log.Info("the latest version of the function is read alone", "function", latest.URN, "error", err)
	case err != nil:
		r.progress.left.Add(1)
		r.Log.Warn("versions could not be listed", append([]any{"function", latest.URN}, ErrorKeys(err)...)...)
		return errUnlisted
	}
	if err := r.Versions.SeeVersions(ctx, latest, v, r.began); err != nil {
		return fmt.Errorf("keep the versions of %s: %w", latest.Name, err)
	}
	return nil
}

// allVersions reads what is due of the versions beside the latest, which have
// been read, and says how many these are.
func (r *run) allVersions(ctx context.Context, latest []Known) (n int, err error) {
	versions, err := r.versions(ctx, latest)
	if err != nil || len(versions) == 0 {
		return 0, err
	}
	uncovered, err := r.uncovered(ctx, versions)
	if err != nil {
		return 0, err
	}
	return len(versions), r.all(ctx, uncovered)
}
