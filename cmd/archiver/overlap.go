package main

import (
	"strings"

	"archiver/internal/archive"
)

// overlap is the name of a function that both sets of globs pick, where one is
// found: two sources of one account that share functions would read them twice.
// It tries the names that the globs themselves suggest.
func overlap(a, b []string) (name string, found bool) {
	one, err := matcher(a)
	if err != nil {
		return "", false
	}
	other, err := matcher(b)
	if err != nil {
		return "", false
	}
	names := []string{"any"}
	for _, x := range append(included(a), "*") {
		for _, y := range append(included(b), "*") {
			plainX, plainY := filled(x, ""), filled(y, "")
			names = append(names, plainX, plainY, filled(x, plainY), filled(y, plainX), filled(x, "any"), filled(y, "any"), plainX+plainY, plainY+plainX)
		}
	}
	for _, name := range names {
		f := archive.Function{Name: name, URN: name}
		if name != "" && one(f) && other(f) {
			return name, true
		}
	}
	return "", false
}

// included are the globs that do not exclude.
func included(globs []string) (include []string) {
	for _, g := range globs {
		if g = strings.TrimSpace(g); !strings.HasPrefix(g, "!") {
			include = append(include, g)
		}
	}
	return include
}

// filled is a name that a glob of stars and question marks matches.
func filled(glob, star string) string {
	return strings.NewReplacer("*", star, "?", "x").Replace(glob)
}
