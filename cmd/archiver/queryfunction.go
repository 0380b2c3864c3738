package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"archiver/internal/archive"
	"archiver/internal/settings"
	"archiver/internal/settings/configfile"
	"archiver/internal/terminal"
)

// sourceFunction is the one that is meant by a URN, a name or a glob.
//
// A URN is asked about as it is, listed or not: versions are not listed, and
// whoever may read a function need not be allowed to list them all. A source
// that learns from its list how to ask is listed all the same.
func sourceFunction(ctx context.Context, source archive.Source, asked string, notes io.Writer) (archive.Function, error) {
	isURN := strings.HasPrefix(asked, "urn:") || strings.HasPrefix(asked, "acs:")
	isURN = isURN && !strings.ContainsAny(asked, `*?[\`)
	_, listed := source.(interface{ AsksAsListed() })
	if isURN && !listed {
		return archive.Function{URN: asked, Name: asked}, nil
	}
	var functions []archive.Function
	for page, err := range source.Functions(ctx) {
		if err != nil && isURN && context.Cause(ctx) == nil {
			note(notes, "the functions cannot be listed, so that versions and aliases are not known: %v", err)
			return archive.Function{URN: asked, Name: asked}, nil
		}
		if err != nil {
			return archive.Function{}, err
		}
		functions = append(functions, page...)
	}
	if context.Cause(ctx) != nil {
		return archive.Function{}, context.Cause(ctx)
	}
	found, err := meant(functions, asked)
	switch {
	case err != nil:
		return archive.Function{}, err
	case len(found) == 0 && isURN:
		return archive.Function{URN: asked, Name: asked}, nil
	}
	return one(functions, found, asked)
}

// meant are the functions of this URN, else those of this name, else those that
// match it as a glob.
func meant(functions []archive.Function, asked string) (found []archive.Function, err error) {
	for _, matches := range []func(archive.Function) bool{
		func(f archive.Function) bool { return f.URN == asked },
		func(f archive.Function) bool { return f.Name == asked },
		func(f archive.Function) bool {
			byName, wrong := path.Match(asked, f.Name)
			byURN, _ := path.Match(asked, f.URN)
			err = wrong
			return byName || byURN
		},
	} {
		for _, f := range functions {
			if matches(f) {
				found = append(found, f)
			}
		}
		if err != nil {
			return nil, settings.Usagef("--function %q is not a glob: %w", asked, err)
		}
		if len(found) > 0 {
			break
		}
	}
	return found, nil
}

// namesShown is how many functions an error names.
const namesShown = 5

// one is the only function found.
func one(all, found []archive.Function, asked string) (archive.Function, error) {
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if len(all) == 0 {
			return archive.Function{}, settings.Usagef("--function %s: there are no functions", terminal.Line(asked))
		}
		names := make([]string, len(all))
		for i, f := range all {
			names[i] = f.Name
		}
		return archive.Function{}, settings.Usagef("--function %s: none of the %d functions is named so: the nearest are %s",
			terminal.Line(asked), len(all), terminal.Line(strings.Join(nearest(asked, names, namesShown), ", ")))
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Name
	}
	if slices.Compare(slices.Compact(slices.Sorted(slices.Values(names))), slices.Sorted(slices.Values(names))) != 0 {
		for i, f := range found {
			names[i] = f.URN // names do not tell them apart
		}
	}
	more := ""
	if n := len(names) - namesShown; n > 0 {
		names, more = names[:namesShown], fmt.Sprintf(" and %d more", n)
	}
	return archive.Function{}, settings.Usagef("--function %s: %d functions match, ask for one: %s%s",
		terminal.Line(asked), len(found), terminal.Line(strings.Join(names, ", ")), more)
}

// nearest are the n words that differ least from one.
func nearest(word string, words []string, n int) []string {
	type near struct {
		word     string
		distance int
	}
	all := make([]near, 0, len(words))
	for _, w := range slices.Compact(slices.Sorted(slices.Values(words))) {
		all = append(all, near{w, configfile.Distance(strings.ToLower(word), strings.ToLower(w))})
	}
	slices.SortStableFunc(all, func(a, b near) int { return a.distance - b.distance })
	var list []string
	for _, w := range all[:min(n, len(all))] {
		list = append(list, w.word)
	}
	return list
}
