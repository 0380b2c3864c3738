package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/extract/functiongraph"
)

// sources are those there are, by what --provider calls them, with what opens
// each from the flags and the environment. All calls of a source go through the
// caller. docs/sources.md says how another one is added.
var sources = map[string]func(context.Context, *sourceFlags, *extract.Caller, *slog.Logger) (archive.Source, error){
	functiongraph.Provider:   openFunctionGraph,
	functioncompute.Provider: openFunctionCompute,
}

// providers are the names of the sources, for the flag.
func providers() string { return strings.Join(slices.Sorted(maps.Keys(sources)), ",") }
