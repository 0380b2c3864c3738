package settings

import (
	"fmt"
	"path"
	"strings"

	"archiver/internal/archive"
)

// Match reports whether globs pick a function, by its name or URN. Globs that begin
// with ! exclude. Without any other glob, all functions are picked that are not
// excluded. The globs are those of a flag, which were checked.
func Match(globs []string, f archive.Function) bool {
	all, picked := true, false
	for _, g := range globs {
		g, excludes := strings.CutPrefix(strings.TrimSpace(g), "!")
		byName, _ := path.Match(g, f.Name)
		byURN, _ := path.Match(g, f.URN)
		switch matches := byName || byURN; {
		case excludes && matches:
			return false
		case !excludes:
			all, picked = false, picked || matches
		}
	}
	return all || picked
}

// IsName reports whether a glob matches one name alone.
func IsName(glob string) bool {
	return !strings.HasPrefix(glob, "!") && !strings.ContainsAny(glob, `*?[\`)
}

// checkGlob refuses a glob that path.Match cannot read, and one that is empty: it is most
// likely a variable that is not set, and "!" alone would pick every function.
func checkGlob(glob string) error {
	pattern := strings.TrimPrefix(strings.TrimSpace(glob), "!")
	if pattern == "" {
		return fmt.Errorf("%q names no function", glob)
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("%q is not a glob: %w", glob, err)
	}
	return nil
}

// SharedFunctions returns a mistake if two sources of the same account pick the
// same function: they would both read it. It returns nil if no such function is
// found.
func SharedFunctions(a, b *Source) error {
	name, shared := overlap(a.Functions, b.Functions)
	if !shared {
		return nil
	}
	return Usagef("it reads the same account as source %s, and a function named %q, for example, belongs to both: set functions so that they share none", a.Name, name)
}

// overlap looks for a name that both lists of globs pick. It tries names that the
// globs suggest, so a name that it returns is shared for certain. A shared name
// that it does not find costs calls, and loses no record.
func overlap(a, b []string) (name string, found bool) {
	for _, x := range included(a) {
		for _, y := range included(b) {
			for _, name := range commonNames(x, y) {
				f := archive.Function{Name: name, URN: name}
				if Match(a, f) && Match(b, f) {
					return name, true
				}
			}
		}
	}
	return "", false
}

// anything stands for a list without including globs.
const anything = ""

// included returns the globs that do not exclude.
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

// commonNames returns names that both globs may match. Parts of a name between
// slashes are combined one by one.
func commonNames(x, y string) []string {
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
		for _, name := range names {
			for _, more := range commonParts(part, partsY[i]) {
				longer = append(longer, strings.TrimPrefix(name+"/"+more, "/"))
			}
		}
		names = longer[:min(len(longer), 64)]
	}
	return names
}

// commonParts returns names without a slash that both globs match.
func commonParts(x, y string) (names []string) {
	plainX, plainY := fill(x, ""), fill(y, "")
	for _, name := range []string{
		plainX, plainY, fill(x, plainY), fill(y, plainX), fill(x, "any"), fill(y, "any"), plainX + plainY, plainY + plainX,
	} {
		byX, _ := path.Match(x, name) // the globs were checked
		byY, _ := path.Match(y, name)
		if name != "" && byX && byY {
			names = append(names, name)
		}
	}
	return names
}

// fill replaces each star of a glob by a text, and each question mark by a letter.
func fill(glob, star string) string {
	return strings.NewReplacer("*", star, "?", "x").Replace(glob)
}
