package query

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/settings"
	"archiver/internal/settings/configfile"
	"archiver/internal/terminal"
)

// sourceFunction returns the function of the request at a source.
//
// A URN is asked about without listing the functions: they do not include
// versions, and the user may have no permission to list them. Only a source that
// learns from its list how to ask is listed first.
func (r *Request) sourceFunction(ctx context.Context, source archive.Source) (archive.Function, error) {
	asked := r.Function
	isURN := (strings.HasPrefix(asked, "urn:") || strings.HasPrefix(asked, "acs:")) && settings.IsName(asked)
	_, listed := source.(interface{ AsksAsListed() })
	if isURN && !listed {
		return archive.Function{URN: asked, Name: asked}, nil
	}
	var functions []archive.Function
	for page, err := range source.Functions(ctx) {
		if err != nil && isURN && context.Cause(ctx) == nil {
			r.note("the functions cannot be listed, so versions and aliases are not known: %v", err)
			return archive.Function{URN: asked, Name: asked}, nil
		}
		var notWhole *archive.ListError
		if errors.As(err, &notWhole) {
			r.note("%v", notWhole)
		} else if err != nil {
			return archive.Function{}, err
		}
		functions = append(functions, page...)
	}
	if context.Cause(ctx) != nil {
		return archive.Function{}, context.Cause(ctx)
	}
	found, err := matching(functions, asked)
	switch {
	case err != nil:
		return archive.Function{}, err
	case len(found) == 0 && isURN:
		return archive.Function{URN: asked, Name: asked}, nil
	}
	return only(functions, found, asked)
}

// matching returns the functions with this URN, else those with this name, else
// those that match it as a glob.
func matching(functions []archive.Function, asked string) (found []archive.Function, err error) {
	for _, matches := range []func(archive.Function) bool{
		func(f archive.Function) bool { return f.URN == asked },
		func(f archive.Function) bool { return f.Name == asked },
		func(f archive.Function) bool {
			byName, invalid := path.Match(asked, f.Name)
			byURN, _ := path.Match(asked, f.URN)
			err = invalid
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

// namesShown is the number of functions that an error names.
const namesShown = 5

// only returns the only function found. Else its error names functions to ask for.
func only(all, found []archive.Function, asked string) (archive.Function, error) {
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
		return archive.Function{}, settings.Usagef("--function %s: none of the %d functions has this name: the nearest are %s",
			terminal.Line(asked), len(all), terminal.Line(strings.Join(nearest(asked, names, namesShown), ", ")))
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Name
	}
	if slices.Compare(slices.Compact(slices.Sorted(slices.Values(names))), slices.Sorted(slices.Values(names))) != 0 {
		for i, f := range found {
			names[i] = f.URN // two have the same name
		}
	}
	more := ""
	if n := len(names) - namesShown; n > 0 {
		names, more = names[:namesShown], fmt.Sprintf(" and %d more", n)
	}
	return archive.Function{}, settings.Usagef("--function %s: %d functions match, ask for one: %s%s",
		terminal.Line(asked), len(found), terminal.Line(strings.Join(names, ", ")), more)
}

// nearest returns the n words that differ least from a word.
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

// archivedFunction returns the function of the archive that is asked for. It may
// have been archived from several sources, which are one account: the name of a
// region was not always given. A version other than the latest is found only by
// its URN.
func archivedFunction(ctx context.Context, reader *read.Archive, asked string) ([]read.Archived, error) {
	all, err := reader.Functions(ctx)
	if err != nil {
		return nil, err
	}
	byURN := make(map[string][]read.Archived)
	var functions []archive.Function
	for _, f := range all {
		if len(byURN[f.URN]) == 0 && (f.LatestURN == "" || f.URN == asked) {
			functions = append(functions, f.Function)
		}
		byURN[f.URN] = append(byURN[f.URN], f)
	}
	found, err := matching(functions, asked)
	if err != nil {
		return nil, err
	}
	f, err := only(functions, found, asked)
	if err != nil {
		return nil, err
	}
	return byURN[f.URN], nil
}
