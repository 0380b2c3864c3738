package archive

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A sourcePackage is a package of this module, as its files say.
type sourcePackage struct {
	name    string   // of the package, without tests
	imports []string // of its files without tests
}

const module = "archiver"

// readModule reads what the module's files import, those of every platform.
func readModule(t *testing.T) map[string]*sourcePackage {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if mod, err := os.ReadFile(filepath.Join(root, "go.mod")); err != nil || !strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Fatalf("%s is not the module's folder: %v", root, err)
	}
	packages := make(map[string]*sourcePackage)
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && file != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		importPath := path.Join(module, filepath.ToSlash(dir))
		p := packages[importPath]
		if p == nil {
			p = new(sourcePackage)
			packages[importPath] = p
		}
		test := strings.HasSuffix(file, "_test.go")
		if !test {
			p.name = parsed.Name.Name
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !test {
				p.imports = append(p.imports, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// within reports whether a package is the one of this path or lies under it.
func within(imported, under string) bool {
	under = path.Join(module, under)
	return imported == under || strings.HasPrefix(imported, under+"/")
}

// closure is all that a package imports, by whatever way through the module.
func closure(packages map[string]*sourcePackage, of string) map[string]bool {
	found := make(map[string]bool)
	var visit func(string)
	visit = func(from string) {
		p := packages[from]
		if p == nil {
			return
		}
		for _, imported := range p.imports {
			if !found[imported] {
				found[imported] = true
				visit(imported)
			}
		}
	}
	visit(of)
	return found
}

// Who may know whom: the loop knows nobody, sources and the database know the
// loop and never each other, the page knows the database alone, and the simulator, which stands in for the cloud,
// shares nothing with what is tested against it.
func TestImports(t *testing.T) {
	t.Parallel()
	packages := readModule(t)
	for _, must := range []string{"internal/archive", "internal/extract", "internal/load", "internal/page", "internal/simulate", "internal/config", "internal/pgserver/pgtest", "cmd/archiver"} {
		if packages[path.Join(module, must)] == nil {
			t.Errorf("there is no %s: what is said of it here is said of nothing", must)
		}
	}
	for _, rule := range []struct {
		of    string
		never []string
	}{
		{"internal/extract", []string{"internal/load", "internal/loop"}},
		{"internal/load", []string{"internal/extract", "internal/loop", "internal/metrics", "internal/page"}},
		{"internal/loop", []string{"internal/extract", "internal/load"}},
		{"internal/metrics", []string{"internal/extract", "internal/page"}},
		{"internal/page", []string{"internal/extract", "internal/metrics", "internal/pgserver", "internal/simulate"}},
		{"internal/lookup", []string{"internal/extract", "internal/load"}},
		{"internal/simulate", []string{"internal/archive", "internal/extract", "internal/load"}},
		{"internal/terminal", []string{"internal/config", "internal/settings", "internal/extract", "internal/load"}},
	} {
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			if !within(name, rule.of) {
				continue
			}
			for imported := range closure(packages, name) {
				for _, never := range rule.never {
					if within(imported, never) {
						t.Errorf("%s depends on %s", name, imported)
					}
				}
			}
		}
	}
	for imported := range closure(packages, path.Join(module, "internal/archive")) {
		first, _, _ := strings.Cut(imported, "/")
		if strings.Contains(first, ".") || first == module {
			t.Errorf("internal/archive imports %s, which is not of the standard library", imported)
		}
	}
}

// What helps tests is for tests.
func TestTestHelpersAreForTests(t *testing.T) {
	t.Parallel()
	packages := readModule(t)
	for name, p := range packages {
		for _, helpers := range []string{"internal/pgserver/pgtest", "internal/archive/clocktest", "internal/conformance"} {
			if within(name, helpers) || within(name, "internal/conformance") {
				continue
			}
			for _, imported := range p.imports {
				if within(imported, helpers) {
					t.Errorf("%s imports %s outside its tests", name, imported)
				}
			}
		}
		if slices.Contains(p.imports, "testing") && !within(name, "internal/pgserver/pgtest") && !within(name, "internal/conformance") {
			t.Errorf("%s imports testing outside its tests", name)
		}
	}
}

// There is one command.
func TestOneCommand(t *testing.T) {
	t.Parallel()
	for name, p := range readModule(t) {
		if within(name, "cmd") && p.name == "main" && name != module+"/cmd/archiver" {
			t.Errorf("%s is a command of its own", name)
		}
	}
}
