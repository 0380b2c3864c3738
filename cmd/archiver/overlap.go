package main

import (
	"path"
	"strings"

	"archiver/internal/archive"
)

// overlap is the name of a function that both sets of globs pick, where one is
// found: two sources of one account that share functions would read them twice.
// It tries names that the globs themselves suggest, so that what it finds is so;
// what it does not find costs calls, and loses nothing.
func overlap(a, b []string) (name string, found bool) {
	one, err := matcher(a)
	if err != nil {
		return "", false
	}
	other, err := matcher(b)
	if err != nil {
		return "", false
	}
	for _, x := range included(a) {
		for _, y := range included(b) {
			for _, name := range common(x, y) {
				f := archive.Function{Name: name, URN: name}
				if one(f) && other(f) {
					return name, true
				}
			}
		}
	}
	return "", false
}

// anything stands for globs that leave nothing out but what they exclude.
const anything = ""

// included are the globs that do not exclude.
func included(globs []string) (include []string) {
	for _, g := range globs {
		if g = strings.TrimSpace(g); !strings.HasPrefix(g, "!") {
			include = append(include, g)
		}
	}
	if include == nil {
		return []string{anything}
	}
	return include
}

// common are names that both globs match, as far as they are easily found.
func common(x, y string) []string {
	if x == anything {
		x = y
	}
	if y == anything {
		y = x
	}
	if x == anything {
		return []string{"any", "every", "all"}
	}
	partsX, partsY := strings.Split(x, "/"), strings.Split(y, "/")
	if len(partsX) != len(partsY) {
		return nil
	}
	names := []string{""}
	for i, part := range partsX {
		var longer []string
		for _, begun := range names {
			for _, more := range suggested(part, partsY[i]) {
				longer = append(longer, strings.TrimPrefix(begun+"/"+more, "/"))
			}
		}
		names = longer[:min(len(longer), 64)]
	}
	return names
}

// suggested are names without a slash that two globs suggest and match.
func suggested(x, y string) (names []string) {
	plainX, plainY := filled(x, ""), filled(y, "")
	for _, name := range []string{
		plainX, plainY, filled(x, plainY), filled(y, plainX), filled(x, "any"), filled(y, "any"), plainX + plainY, plainY + plainX,
	} {
		byX, _ := path.Match(x, name) // the globs were read once already
		byY, _ := path.Match(y, name)
		if name != "" && byX && byY {
			names = append(names, name)
		}
	}
	return names
}

// filled is a glob with a text for its stars.
func filled(glob, star string) string {
	return strings.NewReplacer("*", star, "?", "x").Replace(glob)
}
