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

// A provider is a cloud service that may be read.
type provider struct {
	// open opens it as the flags and the environment say. All of its calls go
	// through the caller.
	open func(context.Context, *sourceFlags, *extract.Caller, *slog.Logger) (archive.Source, error)
	// check says what is wrong with them, and asks nobody.
	check func(*sourceFlags) error
}

// sources are those there are, by what --provider calls them. docs/sources.md
// says how another one is added.
var sources = map[string]provider{
	functiongraph.Provider:   {openFunctionGraph, checkFunctionGraph},
	functioncompute.Provider: {openFunctionCompute, checkFunctionCompute},
}

// providers are the names of the sources, for the flag.
func providers() string { return strings.Join(slices.Sorted(maps.Keys(sources)), ",") }
