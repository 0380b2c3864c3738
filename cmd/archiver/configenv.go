package main

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"archiver/internal/settings/configfile"
)

// prefix begins the names of our variables.
const prefix = "ARCHIVER_"

// checkEnvironment says which variables have values that their flags do not
// take.
func (c *configuring) checkEnvironment() {
	for node := c.command; node != nil; node = node.Parent {
		for _, flag := range node.Flags {
			name := variable(flag)
			if _, given := c.argument(flag.Name); given || name == "" {
				continue
			}
			if err := checkText(flag, os.Getenv(name)); err != nil {
				c.wrong("%s (--%s): %v", name, flag.Name, err)
			}
		}
	}
}

// unknownVariables are those of the environment that look like ours and are
// not, each with the nearest that is.
func (c *configuring) unknownVariables() (warnings []string) {
	known := make(map[string]bool)
	for _, kind := range secretKinds {
		for _, name := range kind.variables {
			known[name], known[name+"_FILE"] = true, true
		}
	}
	_ = kong.Visit(c.model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				known[name] = true
			}
		}
		return next(nil)
	})
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(name string) bool { return !strings.HasPrefix(name, prefix) })
	for _, set := range os.Environ() {
		name, _, _ := strings.Cut(set, "=")
		if strings.HasPrefix(name, prefix) && !known[name] && !elsewhere(name) {
			warnings = append(warnings, name+" is set, and is no variable of archiver's"+configfile.DidYouMean(name, names))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// elsewhere reports whether a variable that begins as ours do is somebody
// else's: of our own tests and tools, of the file itself, or one that Kubernetes
// sets for a service called archiver.
func elsewhere(name string) bool {
	rest := strings.TrimPrefix(name, prefix)
	for _, begins := range []string{"TEST_", "SERVICE_", "PORT_"} {
		if strings.HasPrefix(rest, begins) {
			return true
		}
	}
	return rest == "SOAK" || rest == "PORT"
}
