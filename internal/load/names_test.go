package load

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Statements do not name the schemas of the archive, which --schema names: each session
// looks for tables in these schemas alone.
func TestStatementsNameNoSchema(t *testing.T) {
	t.Parallel()
	schema := regexp.MustCompile(`archiver_(internal|days)\b`)
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "loadtest") ||
			!strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".sql") {
			return err
		}
		text, err := os.ReadFile(path)
		if found := schema.FindString(string(text)); found != "" {
			t.Errorf("%s names the schema %s: leave it out", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
