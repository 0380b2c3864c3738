package configfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	at := func(line, column int) Place { return Place{"a.yaml", line, column} }
	one := func(text string, kind Kind, line, column int) []Value { return []Value{{text, kind, at(line, column)}} }
	for name, text := range map[string]string{
		"as written": `# what holds for all
schedule: "7 * * * *"
retention: 400d
sources:
  - name: no
    account-id: 0018800
    insecure: true
    functions: [orders-*, '!*-test']
  - name: "otc"
    rate: 2.5
    region:
`,
		"with a byte order mark, and Windows's ends of lines": "\ufeff# what holds for all\r\nschedule: \"7 * * * *\"\r\nretention: 400d\r\nsources:\r\n  - name: no\r\n    account-id: 0018800\r\n    insecure: true\r\n    functions: [orders-*, '!*-test']\r\n  - name: \"otc\"\r\n    rate: 2.5\r\n    region:\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, mistakes := Parse("a.yaml", []byte(text))
			if len(mistakes) > 0 {
				t.Fatal(mistakes)
			}
			want := &File{
				Path: "a.yaml", Several: true,
				Top: Section{At: Place{File: "a.yaml", Line: 2, Column: 1}, Settings: []Setting{
					{Key: "schedule", At: at(2, 1), Values: one("7 * * * *", Text, 2, 11)},
					{Key: "retention", At: at(3, 1), Values: one("400d", Text, 3, 12)},
				}},
				Sources: []Section{
					{At: at(5, 5), Settings: []Setting{
						{Key: "name", At: at(5, 5), Values: one("no", Text, 5, 11)},
						{Key: "account-id", At: at(6, 5), Values: one("0018800", Number, 6, 17)},
						{Key: "insecure", At: at(7, 5), Values: one("true", Bool, 7, 15)},
						{Key: "functions", At: at(8, 5), List: true, Values: []Value{{"orders-*", Text, at(8, 17)}, {"!*-test", Text, at(8, 27)}}},
					}},
					{At: at(9, 5), Settings: []Setting{
						{Key: "name", At: at(9, 5), Values: one("otc", Text, 9, 11)},
						{Key: "rate", At: at(10, 5), Values: one("2.5", Number, 10, 11)},
						{Key: "region", At: at(11, 5), Values: one("", Null, 11, 12)},
					}},
				},
			}
			if diff := cmp.Diff(want, file); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is wrong is told with its line and column, all of it at once where the
// file is YAML.
func TestParseMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"empty":              {"", []string{"f: is empty"}},
		"spaces":             {" \n\n", []string{"f: is empty"}},
		"byte order mark":    {"\ufeff", []string{"f: is empty"}},
		"comments":           {"# region: cn-north-4\n", []string{"f: has nothing but comments in it"}},
		"a list":             {"- region\n", []string{"f:1:1: a file holds keys with values"}},
		"a word":             {"region\n", []string{"f:1:1: a file holds keys with values"}},
		"two documents":      {"region: a\n---\nregion: b\n", []string{"f:2:1: a second document begins here"}},
		"a broken second":    {"region: a\n---\nregion: [\n", []string{"f:4:1: is not YAML"}},
		"a tab":              {"sources:\n\t- name: a\n", []string{"f:2:1: a tab indents this line"}},
		"a tab further on":   {"sources:\n  - name: a\n  \tregion: b\n", []string{"f:3:3: a tab indents this line"}},
		"stars":              {"schedule: * * * * *\n", []string{"f:1:11: a value that begins with * has to be in quotes"}},
		"a star in a list":   {"functions:\n  - *-dev\n", []string{"f:2:5: a value that begins with * has to be in quotes"}},
		"@":                  {"schedule: @daily\n", []string{"f:1:11: a value that begins with @ has to be in quotes"}},
		"!":                  {"functions: !orders-*\n", []string{`f:1:12: a value that begins with ! is a tag to YAML: put it in quotes, "!orders-*"`}},
		"! in a list":        {"functions: [a, !b]\nregion: !c d", []string{`f:1:16: a value that begins with !`, `f:2:9: a value that begins with ! is a tag to YAML: put it in quotes, "!c d"`}},
		"binary":             {"region: !!binary aGVsbG8=\n", []string{"f:1:9: a value that begins with !"}},
		"duplicates":         {"region: a\nsettle: 1m\nregion: b\nregion: c\n", []string{`f:3:1: "region" is there twice, first at line 1`, `f:4:1: "region" is there twice, first at line 1`}},
		"sources twice":      {"sources: [{name: a}]\nsources: [{name: b}]\n", []string{`f:2:1: "sources" is there twice`}},
		"an alias":           {"settle: &s 1m\nlookback: *s\n", []string{"f:2:11: \"*s\" is an alias"}},
		"merged":             {"<<: {settle: 1m}\n", []string{"f:1:1: keys cannot be merged in"}},
		"a bomb":             {bomb(), []string{`"*a" is an alias`, `"*a" is an alias`, `"*b" is an alias`}},
		"a circle":           {"functions: &f [*f]\n", []string{"f:1:16: \"*f\" is an alias"}},
		"keys of its own":    {"region:\n  name: a\n", []string{"f:2:3: \"region\" takes a value, and has keys of its own here"}},
		"lists in lists":     {"functions: [a, [b], {c: d}]\n", []string{"f:1:16: \"functions\" is a list of single values", "f:1:21: \"functions\" is a list of single values"}},
		"a list as a key":    {"? [a]\n: b\n", []string{"f:1:3: a key is a single word"}},
		"no list of sources": {"sources:\n  name: a\n", []string{"f:2:3: sources is a list"}},
		"none":               {"sources: []\n", []string{"f:1:10: sources is empty"}},
		"null":               {"sources:\n", []string{"f:1:9: sources is a list"}},
		"odd elements":       {"sources:\n  - a\n  - name: b\n  -\n", []string{"f:2:5: a source is keys with values", "f:4:4: a source is keys with values"}},
		"sources of sources": {"sources:\n  - name: a\n    sources: []\n", []string{"f:3:5: a source has no sources of its own"}},
		"a quote":            {"region: 'a\nschedule: b\n", []string{"f:1:9: is not YAML"}},
		"a bracket":          {"region: a\nfunctions: [a\n", []string{"f:2:12: is not YAML"}},
		"a colon":            {"region: a: b\n", []string{"f:1:10: a key is not expected here"}},
		"wrong indentation":  {"region: a\n  settle: b\n", []string{"f:2:9: a key is not expected here"}},
		"no UTF-8":           {"region: \xff\xfe\n", []string{"f: is not YAML: invalid leading UTF-8 octet"}},
		"control characters": {"region: \x01\n", []string{"f: is not YAML: control characters are not allowed"}},
		"depth":              {strings.Repeat("[", 20_000), []string{"exceeded max depth"}},
		"more than one": {
			"region: a\nregion: b\nsources:\n  - name: [[]]\n  - 5\n",
			[]string{`f:2:1: "region" is there twice`, "f:4:12: \"name\" is a list of single values", "f:5:5: a source is keys with values"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, mistakes := Parse("f", []byte(test.text))
			for i, m := range mistakes {
				if i >= len(test.want) {
					break
				}
				if !strings.Contains(m.Error(), test.want[i]) {
					t.Errorf("said  %s\nwant  %s", m, test.want[i])
				}
				if strings.Contains(m.Error(), "\n") {
					t.Errorf("%q has several lines", m)
				}
			}
			if name != "a bomb" && len(mistakes) != len(test.want) {
				t.Errorf("%d mistakes, want %d: %v", len(mistakes), len(test.want), mistakes)
			}
		})
	}
}

// bomb is a small file that stands for 10⁹ elements.
func bomb() string {
	var b strings.Builder
	b.WriteString("a: &a [x, x]\n")
	for c := 'b'; c < 'z'; c++ {
		fmt.Fprintf(&b, "%c: &%c [*%c%s]\n", c, c, c-1, strings.Repeat(fmt.Sprintf(", *%c", c-1), 1+int(c)%2))
	}
	return b.String()
}

func TestReadWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, []byte("# "+strings.Repeat("x", maxSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "none.yaml: cannot be read: no such file or directory",
		dir:                             dir + ": cannot be read: is a directory",
		large:                           "large.yaml: is larger than 1024 KiB",
		"/dev/zero":                     "/dev/zero: is larger than 1024 KiB",
	} {
		began := time.Now()
		file, mistakes := Read(path)
		if file != nil || len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), want) {
			t.Errorf("%s: %v, want %q", path, mistakes, want)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %s", path, took)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"region", "retention", "endpoint", "rate", "listen", "settle", "access-key-file", "access-key-env", "request-timeout"}
	for wrong, want := range map[string]string{
		"regoin": "region", "Region": "region", "regions": "region", "retension": "retention", "enpoint": "endpoint",
		"rte": "rate", "acess-key-file": "access-key-file", "access_key_file": "access-key-file", "access-key": "access-key-file",
		"timeout": "", "request_timeout": "request-timeout", "request": "request-timeout", "xyz": "", "": "", "a": "",
	} {
		if got := Nearest(wrong, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", wrong, got, want)
		}
	}
}

// Reading any file ends, and each mistake is one line of
// this file.
func FuzzParse(f *testing.F) {
	f.Add("sources:\n  - name: a\n    functions: ['!b', *c]\n")
	f.Add("a: &a [*a]\n? {b: c}\n: - d\n<<: *a\n---\n")
	f.Add("\ufeff\ta: \"\\0\"\r\n")
	f.Add("region: {\"\\e[31m\": 1}\nregion: 1\nsources: [\"\\u009b\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, mistakes := Parse("f.yaml", []byte(text))
		if file == nil && len(mistakes) == 0 {
			t.Error("neither a file nor a mistake")
		}
		for _, m := range mistakes {
			if !strings.HasPrefix(m.Error(), "f.yaml") {
				t.Errorf("%q does not begin with the file", m)
			}
			if strings.ContainsFunc(m.Error(), unicode.IsControl) {
				t.Errorf("%q has control characters", m)
			}
		}
	})
}
