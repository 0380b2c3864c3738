package archive

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A sourceFile is a Go file of this module.
type sourceFile struct {
	path        string // from the module's root, with slashes
	packageName string
	imports     []string
	lines       int
}

func (f *sourceFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

const module = "archiver"

// readModule reads the module's Go files, those of all platforms.
func readModule(t *testing.T) []sourceFile {
	t.Helper()
	root := os.DirFS(filepath.Join("..", ".."))
	if mod, err := fs.ReadFile(root, "go.mod"); err != nil || !bytes.HasPrefix(mod, []byte("module "+module+"\n")) {
		t.Fatalf("the parent's parent is not the module's folder: %v", err)
	}
	var files []sourceFile
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := sourceFile{path: file, packageName: parsed.Name.Name, lines: bytes.Count(text, []byte("\n"))}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
