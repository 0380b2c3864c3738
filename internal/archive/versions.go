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
// is what Functions lists: each is a Function of its own. Errors match ErrGone
// where the function does not exist, and ErrNoVersions where the source does not
// list such things.
type Versioner interface {
	// Versions lists the versions of a function, without the latest, each once;
	// with an error, those that came.
	Versions(ctx context.Context, latest Function) ([]Function, error)
	// Aliases lists other names of its versions.
	Aliases(ctx context.Context, latest Function) ([]Alias, error)
}

// ErrNoVersions is matched where a source lists no versions, or no aliases, of
// functions.
var ErrNoVersions = errors.New("the source lists no such things")

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
	Known               // LatestID is set
	Latest    Known     // of the same function
	Covered   bool      // the answers for the latest held all that those for this one did, where that was looked at
	LookAgain bool      // that was long ago, or never
	LookedTo  time.Time // the end of the last hour that was looked at; zero for none
	Complete  Span      // from the first to the last hour that the latest is complete in, and no longer than a source keeps
	Begun     bool      // windows of its own are not complete, or records of its own are in flight
}

// A VersionStore keeps which versions functions have.
type VersionStore interface {
	// Unlisted are those of the functions whose versions are to be listed: they
	// never were, were VersionsAge ago, or the function has changed since. Those
	// that could not be listed do not keep others from their turn.
	Unlisted(ctx context.Context, latest []Known, at time.Time) ([]Known, error)
	// SeeVersions and SeeAliases note those of a function, and Listed that both
	// were asked for.
	SeeVersions(ctx context.Context, latest Known, versions []Function, at time.Time) error
	SeeAliases(ctx context.Context, latest Known, aliases []Alias, at time.Time) error
	Listed(ctx context.Context, latest Known, at time.Time) error
	// Versions are those of the source's functions that are not gone.
	Versions(ctx context.Context, source SourceID, at time.Time) ([]Version, error)
	// Unarchived are those records of a version's page that the archive has not
	// under the latest.
	Unarchived(ctx context.Context, latest Known, page []Invocation) ([]Invocation, error)
	// Cover notes whether a version is covered, as far as it was looked at.
	Cover(ctx context.Context, v Version, covered bool, to, at time.Time) error
	// Doubt has the source asked again for the count of a complete window.
	Doubt(ctx context.Context, f Known, window time.Time) error
	// VersionGone notes that the source does not know a version any more.
	VersionGone(ctx context.Context, v Version, at time.Time) error
	// Plan gives windows a row each that are to be read.
	Plan(ctx context.Context, due []Due, o Order) error
}

// maxVersionFailures is how many lists of versions a run asks for in vain: each
// is tried again for a while, and windows matter more.
const maxVersionFailures = 3

// listVersions brings the lists of versions and aliases up to date. One that
// cannot be had is a question without an answer: it is left to the next run,
// and what is known already is read all the same.
func (r *run) listVersions(ctx context.Context, latest []Known) error {
	versioner, ok := r.Source.(Versioner)
	if !ok || r.Versions == nil {
		return nil
	}
	unlisted, err := r.Versions.Unlisted(ctx, latest, r.began)
	if err != nil {
		return fmt.Errorf("look up whose versions to list: %w", err)
	}
	var failures atomic.Int64
	return atOnce(ctx, r.Concurrency, unlisted, func(ctx context.Context, f Known) error {
		if failures.Load() >= maxVersionFailures {
			return nil
		}
		err := r.seeVersions(ctx, versioner, f)
		var failed *SourceError
		switch {
		case errors.Is(err, ErrGone):
			return nil // as its windows will tell
		case !errors.As(err, &failed):
			return err
		case errors.Is(err, ErrDenied):
			failures.Add(maxVersionFailures)
		default:
			failures.Add(1)
		}
		r.progress.left.Add(1)
		r.Log.Warn("versions could not be listed, the next run asks again", append([]any{"function", f.URN}, ErrorKeys(err)...)...)
		return nil
	})
}

// seeVersions lists and keeps the versions and aliases of one function. A crash
// in here has them listed again.
func (r *run) seeVersions(ctx context.Context, versioner Versioner, latest Known) error {
	versions, err := versioner.Versions(ctx, latest.Function)
	if len(versions) > 0 {
		if err := r.Versions.SeeVersions(ctx, latest, versions, r.began); err != nil {
			return fmt.Errorf("keep the versions of %s: %w", latest.Name, err)
		}
	}
	var aliases []Alias
	if err == nil {
		aliases, err = versioner.Aliases(ctx, latest.Function)
	} else if errors.Is(err, ErrNoVersions) {
		r.Log.Info("the latest version of the function is read alone", "function", latest.URN, "error", err)
	}
	switch {
	case errors.Is(err, ErrNoVersions): // what there was of them stays
	case err != nil:
		return sourceError(ctx, err)
	default:
		if err := r.Versions.SeeAliases(ctx, latest, aliases, r.began); err != nil {
			return fmt.Errorf("keep the aliases of %s: %w", latest.Name, err)
		}
	}
	// Asked for again when the list has become old, be there one or not.
	if err := r.Versions.Listed(ctx, latest, r.began); err != nil {
		return fmt.Errorf("note that the versions of %s were listed: %w", latest.Name, err)
	}
	return nil
}

// KnownVersions are those known of the functions that a run is for, beside the
// latest. The order says whether they are to be compared: then none is taken for
// covered.
func (a *Archiver) KnownVersions(ctx context.Context, latest []Known, o Order, at time.Time) ([]Version, error) {
	if a.Versions == nil {
		return nil, nil
	}
	known, err := a.Versions.Versions(ctx, a.Source.ID(), at)
	if err != nil {
		return nil, fmt.Errorf("look up versions: %w", err)
	}
	read := make(map[int32]bool, len(latest))
	for _, f := range latest {
		read[f.ID] = true
	}
	var versions []Version
	for _, v := range known {
		if read[v.ID] || a.Match != nil && !a.Match(v.Function) {
			continue // it is listed by itself, or not asked for
		}
		if !read[v.Latest.ID] || o.Compare {
			// Nobody asks for what would cover it, or that is the question.
			v.Covered, v.LookAgain, v.Complete = false, false, Span{}
		}
		versions = append(versions, v)
	}
	return versions, nil
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
