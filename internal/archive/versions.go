package archive

import (
	"context"
	"errors"
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
