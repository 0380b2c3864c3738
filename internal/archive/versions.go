package archive

import (
	"context"
	"errors"
	"time"
)

// A Versioner is a Source whose functions have versions. Functions lists the
// latest version of each; every other version is a Function of its own. Errors
// match ErrGone if the function does not exist, and ErrNoVersions if the source
// has no such list.
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

// VersionsAge is how long a list of a function's versions is used.
const VersionsAge = 24 * time.Hour

// A VersionStore keeps which versions functions have.
type VersionStore interface {
	// Unlisted are those of the functions whose versions are to be listed: they
	// never were, were VersionsAge ago, or the function has changed since.
	Unlisted(ctx context.Context, latest []Known, at time.Time) ([]Known, error)
	// SeeVersions and SeeAliases note those of a function, and Listed that both
	// were asked for.
	SeeVersions(ctx context.Context, latest Known, versions []Function, at time.Time) error
	SeeAliases(ctx context.Context, latest Known, aliases []Alias, at time.Time) error
	Listed(ctx context.Context, latest Known, at time.Time) error
	// Versions are those of the source's functions that are not gone, without
	// the latest.
	Versions(ctx context.Context, source SourceID) ([]Known, error)
}
