// Package migrations holds the schema, one goose file a step, forward and back.
package migrations

import "embed"

// FS has the migrations in its root.
//
//go:embed *.sql
var FS embed.FS
