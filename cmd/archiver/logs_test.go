package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLogOfARun compares the log of a whole backfill, of which one call was
// refused as too many and one failed, with what it was: a line for each trouble
// and one for the run, and none for a page.
func TestLogOfARun(t *testing.T) {
	t.Parallel()
	api, _ := simulator(t, generated(t, 6, 6000, 5))
	var calls atomic.Int64
	url := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/async-invocations") {
			switch n := calls.Add(1); {
			case n == 2:
				w.Header().Set("X-Request-Id", "call-of-the-throttled")
				http.Error(w, `{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached"}`, http.StatusTooManyRequests)
				return
			case strings.Contains(r.URL.Path, "-003:"):
				http.Error(w, `{"error_code":"FSS.0400","error_msg":"no such luck","request_id":"call-that-failed"}`, http.StatusBadRequest)
				return
			}
		}
		api.ServeHTTP(w, r)
	}))
	in := install(t, url)
	code, _, stderr := in.run(nil, append([]string{"backfill", "--concurrency", "1", "--versions", "latest"}, dayFlags...)...)
	if code != exitIncomplete {
		t.Errorf("exit %d", code)
	}
	var lines []string
	for line := range strings.Lines(stderr) {
		// How often it says how far it is, is the machine's to decide.
		if !strings.Contains(line, `"msg":"archiving"`) {
			lines = append(lines, line)
		}
	}
	got := regexp.MustCompile(`"time":"[^"]+"`).ReplaceAllString(strings.Join(lines, ""), `"time":"…"`)
	got = regexp.MustCompile(`"seconds":[0-9.e-]+`).ReplaceAllString(got, `"seconds":…`)
	want, err := os.ReadFile(filepath.Join("testdata", "run.log"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, got)
	}
}

// keysInDocs are the first words in code of the rows of a table of docs/logs.md.
var keysInDocs = regexp.MustCompile("(?m)^\\| ((?:`[a-z_]+`(?:, )?)+) \\|")

// TestLogKeys reads all keys that the source logs with: they are those of
// docs/logs.md, and each of these is used.
func TestLogKeys(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "logs.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]bool)
	for _, row := range keysInDocs.FindAllStringSubmatch(string(page), -1) {
		for key := range strings.SplitSeq(row[1], ", ") {
			told[strings.Trim(key, "`")] = true
		}
	}
	used := make(map[string]token.Position)
	files := token.NewFileSet()
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", "..", root), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				for _, at := range logKeys(n) {
					if key, err := strconv.Unquote(at.Value); err == nil {
						used[key] = files.Position(at.Pos())
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(used) < 20 {
		t.Fatalf("the source logs with %d keys: they are not found any more", len(used))
	}
	for _, key := range slices.Sorted(maps.Keys(used)) {
		if !told[key] {
			t.Errorf("%s: %q is no key of docs/logs.md", used[key], key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(told)) {
		if _, there := used[key]; !there {
			t.Errorf("docs/logs.md has %q, which nothing logs with", key)
		}
	}
}

// logKeys are the keys in a call that logs, in a list of keys and values that is
// made for one, and in an attribute.
func logKeys(n ast.Node) (keys []*ast.BasicLit) {
	everySecond := func(list []ast.Expr) {
		for i := 0; i < len(list); i += 2 {
			if lit, ok := list[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				keys = append(keys, lit)
			}
		}
	}
	switch n := n.(type) {
	case *ast.CallExpr:
		if to, ok := n.Fun.(*ast.Ident); ok && to.Name == "append" && len(n.Args)%2 == 1 {
			if list, ok := n.Args[0].(*ast.Ident); ok && list.Name == "about" { // keys of a line
				everySecond(n.Args[1:])
			}
		}
		called, ok := n.Fun.(*ast.SelectorExpr)
		if !ok {
			return keys
		}
		on := ""
		switch x := called.X.(type) {
		case *ast.Ident:
			on = x.Name
		case *ast.SelectorExpr:
			on = x.Sel.Name
		}
		switch method := called.Sel.Name; {
		case on == "slog" && slices.Contains([]string{"String", "Any", "Int", "Int64", "Bool", "Duration", "Time", "Float64"}, method):
			everySecond(n.Args[:1])
		case !strings.EqualFold(on, "log"):
		case slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method):
			everySecond(n.Args[1:])
		case method == "With":
			everySecond(n.Args)
		}
	case *ast.CompositeLit:
		if list, ok := n.Type.(*ast.ArrayType); ok {
			if of, ok := list.Elt.(*ast.Ident); ok && of.Name == "any" && len(n.Elts)%2 == 0 {
				everySecond(n.Elts)
			}
		}
	}
	return keys
}
