package archive

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// An importRule says what packages may not import. Packages are named by their
// folder. "internal/load/..." is internal/load and all packages below it.
type importRule struct {
	packages []string
	// never are packages that these depend on neither directly nor through
	// another package of the module.
	never []string
	// only, if set, are the packages of never that may be imported after all.
	// Then the rule concerns direct imports alone.
	only []string
}

var importRules = []importRule{
	{packages: []string{"internal/archive"}, never: []string{"..."}},
	{packages: []string{"..."}, never: []string{"cmd/..."}},

	// Sources and the database know the words, and neither each other nor the loop.
	{packages: []string{"internal/extract/..."}, never: []string{"internal/loop", "internal/load/..."}},
	{packages: []string{"internal/load/..."}, never: []string{"internal/loop", "internal/extract/...", "internal/metrics", "internal/page"}},
	{packages: []string{"internal/loop"}, never: []string{"internal/extract/...", "internal/load/..."}},
	{packages: []string{"internal/lookup"}, never: []string{"internal/extract/...", "internal/load/..."}},
	{
		packages: []string{"internal/load/pg", "internal/load/read", "internal/load/days", "internal/load/figures"},
		never:    []string{"internal/load"},
	},

	// What shows the archive reads the archive, and nothing else.
	{packages: []string{"internal/page", "internal/metrics"}, never: []string{"internal/load/..."}, only: []string{"internal/load/read"}},
	{packages: []string{"internal/page"}, never: []string{"internal/extract/...", "internal/loop", "internal/metrics", "internal/pgserver/...", "internal/simulate/..."}},
	{packages: []string{"internal/metrics"}, never: []string{"internal/extract/...", "internal/page"}},

	// Only the commands, and the packages made for them, know the settings.
	{packages: []string{"internal/settings/..."}, never: []string{"internal/load", "internal/loop", "internal/metrics", "internal/page", "internal/serve", "internal/sources", "internal/supervise"}},
	{packages: []string{"internal/settings/configfile"}, never: []string{"internal/extract/...", "internal/load/..."}},
	{
		packages: []string{"internal/extract/...", "internal/load/...", "internal/loop", "internal/lookup", "internal/page", "internal/metrics", "internal/schedule", "internal/terminal", "internal/serve"},
		never:    []string{"internal/settings/...", "internal/sources", "internal/supervise", "internal/query"},
	},

	// The simulator stands in for the cloud: it shares no code with what is
	// tested against it.
	{packages: []string{"internal/simulate/..."}, never: []string{"internal/archive/...", "internal/loop", "internal/extract/...", "internal/load/..."}},
}

// matches reports whether a pattern of a rule names the folder.
func matches(pattern, folder string) bool {
	under, below := strings.CutSuffix(pattern, "...")
	under = strings.TrimSuffix(under, "/")
	return folder == under || below && (under == "" || strings.HasPrefix(folder, under+"/"))
}

func matchesAny(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, folder) })
}

// moduleImports are the imports of each package of the module, without those
// of tests. Packages of the module are named by their folder.
func moduleImports(t *testing.T) map[string][]string {
	packages := make(map[string][]string)
	for _, f := range readModule(t) {
		if f.isTest() {
			continue
		}
		folder := path.Dir(f.path)
		imports := packages[folder]
		for _, imported := range f.imports {
			imports = append(imports, strings.TrimPrefix(imported, module+"/"))
		}
		packages[folder] = imports
	}
	return packages
}

// closure is all that a package imports, directly and through other packages of
// the module.
func closure(packages map[string][]string, folder string) map[string]bool {
	found := make(map[string]bool)
	var visit func(string)
	visit = func(from string) {
		for _, imported := range packages[from] {
			if !found[imported] {
				found[imported] = true
				visit(imported)
			}
		}
	}
	visit(folder)
	return found
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	packages := moduleImports(t)
	for _, rule := range importRules {
		for _, folder := range slices.Sorted(maps.Keys(packages)) {
			if !matchesAny(rule.packages, folder) {
				continue
			}
			imports := closure(packages, folder)
			if rule.only != nil {
				imports = make(map[string]bool)
				for _, imported := range packages[folder] {
					imports[imported] = true
				}
			}
			for imported := range imports {
				if _, ours := packages[imported]; !ours || !matchesAny(rule.never, imported) || matchesAny(rule.only, imported) {
					continue
				}
				t.Errorf("%s imports %s", folder, imported)
			}
		}
	}
}

// A rule about a package that does not exist forbids nothing.
func TestImportRulesNamePackages(t *testing.T) {
	t.Parallel()
	packages := moduleImports(t)
	for _, rule := range importRules {
		for _, pattern := range slices.Concat(rule.packages, rule.never, rule.only) {
			exists := false
			for folder := range packages {
				exists = exists || matches(pattern, folder)
			}
			if !exists {
				t.Errorf("there is no package %s", pattern)
			}
		}
	}
}

func TestArchiveImportsOnlyTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, imported := range moduleImports(t)["internal/archive"] {
		if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
			t.Errorf("internal/archive imports %s", imported)
		}
	}
}

// Packages that help tests are imported by tests alone.
func TestTestHelpersAreForTests(t *testing.T) {
	t.Parallel()
	helpers := []string{"internal/pgserver/pgtest", "internal/archive/clocktest", "internal/conformance", "internal/load/loadtest", "testing"}
	for folder, imports := range moduleImports(t) {
		if slices.Contains(helpers, folder) {
			continue
		}
		for _, imported := range imports {
			if slices.Contains(helpers, imported) {
				t.Errorf("%s imports %s outside its tests", folder, imported)
			}
		}
	}
}

func TestOneCommand(t *testing.T) {
	t.Parallel()
	for _, f := range readModule(t) {
		if matches("cmd/...", f.path) && f.packageName == "main" && path.Dir(f.path) != "cmd/archiver" {
			t.Errorf("%s belongs to a second command", f.path)
		}
	}
}
