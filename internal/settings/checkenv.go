package settings

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"archiver/internal/settings/configfile"
)

// prefix begins the names of the archiver's variables.
const prefix = "ARCHIVER_"

// checkEnvironment finds variables with values that their flags do not take: the flags of
// the command, and for check those of every command.
func (in *input) checkEnvironment() {
	wrong := make(map[string]bool)
	check := func(node *kong.Node) {
		for _, flag := range node.Flags {
			name := variable(flag)
			if _, given := in.argument(flag.Name); given || name == "" || wrong[name] {
				continue
			}
			if err := checkText(flag, os.Getenv(name)); err != nil {
				wrong[name] = true
				in.wrong("%s (--%s): %v", name, flag.Name, err)
			}
		}
	}
	for node := in.command; node != nil; node = node.Parent {
		check(node)
	}
	if in.command.Name == checkCommand {
		_ = kong.Visit(in.model, func(node kong.Visitable, next kong.Next) error {
			if command, ok := node.(*kong.Command); ok {
				check(command)
			}
			return next(nil)
		})
	}
}

// unknownVariables returns a warning for each variable that begins like the
// archiver's and is none of them, with the nearest that is one.
func (in *input) unknownVariables() (warnings []string) {
	known := make(map[string]bool)
	for _, kind := range SecretKinds {
		for _, name := range kind.Variables {
			known[name], known[name+"_FILE"] = true, true
		}
	}
	_ = kong.Visit(in.model, func(node kong.Visitable, next kong.Next) error {
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
		if strings.HasPrefix(name, prefix) && !known[name] && !ofOthers(name) {
			warnings = append(warnings, name+" is set, and the archiver has no such variable"+configfile.DidYouMean(name, names))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// ofOthers reports whether a variable with the archiver's prefix belongs to its
// tests and tools, or is one that Kubernetes sets for a service named archiver.
func ofOthers(name string) bool {
	rest := strings.TrimPrefix(name, prefix)
	for _, begin := range []string{"TEST_", "SERVICE_", "PORT_"} {
		if strings.HasPrefix(rest, begin) {
			return true
		}
	}
	return rest == "SOAK" || rest == "PORT"
}
