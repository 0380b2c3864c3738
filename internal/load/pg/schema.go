package pg

import "regexp"

// A Schema names the three schemas of an archive.
//
// Internal and Days are named after People, and so a database can hold several
// archives. The exceptions are archives in public, and archives that were made when
// search_path named their schema: their internal schemas have the names of
// DefaultSchema.
type Schema struct {
	People   string // the tables and views that people query
	Internal string // the tables behind these views, and the checkpoints
	Days     string // the partitions of invocations
}

// DefaultSchema is where people find the archive unless a schema is named. If the
// database has only one archive, which is elsewhere and was made when search_path
// named its schema, then this archive is used.
const DefaultSchema = "public"

// The internal schemas of DefaultSchema, and the ends of all others.
const (
	internalOf = "_internal"
	daysOf     = "_days"
	prefixOf   = "archiver"
)

func schemaNamed(name string) Schema {
	prefix := name
	switch name {
	case DefaultSchema:
		prefix = prefixOf
	case prefixOf:
		prefix += "_" // a schema named archiver is not the default
	}
	return Schema{People: name, Internal: prefix + internalOf, Days: prefix + daysOf}
}

// A schema's name needs no quotes, and leaves room for "_internal" in the 63 bytes of a
// name. It is not that of PostgreSQL's own, or of another archive's internal schema.
var (
	schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,52}$`)
	otherName  = regexp.MustCompile(`^pg_|^information_schema$|_internal$|_days$`)
)

// IsSchemaName reports whether an archive's schema can have the name.
func IsSchemaName(name string) bool {
	return schemaName.MatchString(name) && !otherName.MatchString(name)
}
