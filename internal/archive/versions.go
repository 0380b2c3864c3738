package archive

import (
	"context"
	"errors"
	"time"
)

// A Versioner is a Source whose functions have versions. Functions lists the
// latest version of each function; every other version is a Function of its own.
// Errors match ErrGone if the function does not exist, and ErrNoVersions if the source
// has no such list.
type Versioner interface {
	// Versions lists the versions of a function without the latest, each once. With
	// an error, it returns the versions read so far.
	Versions(ctx context.Context, latest Function) ([]Function, error)
	// Aliases lists the aliases of a function's versions.
	Aliases(ctx context.Context, latest Function) ([]Alias, error)
}

// ErrNoVersions says that a source has no list of versions, or no list of aliases.
var ErrNoVersions = errors.New("the source has no such list")

// An Alias is another name for a version.
type Alias struct {
	Name, Version string
	Description   string
	Additional    []byte // a JSON object of other versions' shares of the calls, in percent; nil for none
}

// VersionsAge is how long a function's list of versions is used before a run asks for
// it again.
const VersionsAge = 24 * time.Hour

// A VersionStore keeps which versions functions have.
type VersionStore interface {
	// Unlisted returns the functions whose versions have to be listed: their list was
	// never read or is older than VersionsAge, or the function has changed since.
	Unlisted(ctx context.Context, latest []Known, at time.Time) ([]Known, error)
	// SeeVersions notes that the source listed these versions at this time, and
	// SeeAliases the aliases. Listed notes that both lists were asked for.
	SeeVersions(ctx context.Context, latest Known, versions []Function, at time.Time) error
	SeeAliases(ctx context.Context, latest Known, aliases []Alias, at time.Time) error
	Listed(ctx context.Context, latest Known, at time.Time) error
	// Versions returns the versions of the source's functions that are not gone,
	// without the latest versions.
	Versions(ctx context.Context, source SourceID) ([]Known, error)
}
