package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"archiver/internal/settings"
	"archiver/internal/settings/configfile"
	"archiver/internal/sources"
	"archiver/internal/terminal"
)

// settingsTable makes the table of docs/configuration.md from the flags of the
// command line.
func settingsTable(t *testing.T) string {
	t.Helper()
	parser, err := newParser(new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	flags := settings.FileFlags(parser.Model)
	var b strings.Builder
	b.WriteString("| flag | environment | in the file | default | what |\n|---|---|---|---|---|\n")
	row := func(flag *kong.Flag) {
		def := ""
		if flag.HasDefault {
			def = "`" + flag.Default + "`"
		}
		what := strings.ReplaceAll(flag.Help, "|", `\|`)
		if flag.Enum != "" && !strings.Contains(what, strings.Join(flag.EnumSlice(), ",")) {
			what += " One of " + strings.Join(flag.EnumSlice(), ", ") + "."
		}
		if only := flag.Tag.Get("of"); only != "" {
			what = "*" + only + "* · " + what
		}
		if flag.Tag.Has("account") {
			what = "*account* · " + what
		}
		fmt.Fprintf(&b, "| `--%s` | `%s` | `%s` | %s | %s |\n", flag.Name, strings.Join(flag.Envs, "`, `"), flag.Name, def, what)
	}
	b.WriteString("| | | **of the process** | | |\n")
	for _, flag := range flags {
		if !settings.OfSource(flag) {
			row(flag)
		}
	}
	fmt.Fprintf(&b, "| | `DATABASE_URL`, `DATABASE_URL_FILE` | `%[1]s-file`, `%[1]s-env` | | PostgreSQL 13 or later. |\n", "database-url")
	b.WriteString("| | | **of each source** | | |\n| | | `name` | | What it is called in the file, in `--source`, the log and what is printed. |\n")
	for _, flag := range flags {
		if settings.OfSource(flag) {
			row(flag)
		}
	}
	for _, kind := range settings.SecretKinds {
		var variables []string
		for _, provider := range strings.Split(sources.Providers(), ",") {
			if name := kind.Variables[provider]; name != "" {
				variables = append([]string{"`" + name + "`"}, variables...)
			}
		}
		fmt.Fprintf(&b, "| | %s, with `_FILE` as well | `%[2]s-file`, `%[2]s-env` | | %s |\n", strings.Join(variables, ", "), kind.Key, kind.Help)
	}
	return b.String()
}

var (
	settingsPart = regexp.MustCompile(`(?s)(<!-- settings: .*? -->\n).*(<!-- end of settings -->)`)
	printedPart  = regexp.MustCompile("(?s)(where each value comes from:\n\n```console\n).*?(```)")
)

// The page has a table of all settings, and its example prints what the page says.
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "configuration.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	w := work(t, map[string]string{"archiver.yaml": example, "url": "postgres://archiver:very-secret@db.example.com/archiver", "key": "very-secret"})
	// The page's secrets are in a folder that tests do not make.
	w.fix("/run/secrets/database-url", "url")
	w.fix("/run/secrets/shop-access-key", "key")
	w.fix("/run/secrets/shop-secret-key", "key")
	args := []string{"check", "--config", "archiver.yaml", "--print-config", "--source", "stock", "--concurrency", "4"}
	w.env = []string{"HOME=/nowhere", "STOCK_ACCESS_KEY_ID=very-secret", "STOCK_ACCESS_KEY_SECRET=very-secret", "ARCHIVER_SETTLE=20m"}
	code, stdout, stderr := w.run(nil, args...)
	if code != exitDone || strings.Contains(stdout, "very-secret") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	printed := "$ archiver " + strings.Join(args, " ") + "\n" + strings.ReplaceAll(stdout, "# file url,", "# file /run/secrets/database-url,")

	want := settingsPart.ReplaceAllString(string(page), "${1}"+strings.ReplaceAll(settingsTable(t), "$", "$$")+"${2}")
	want = printedPart.ReplaceAllString(want, "${1}"+strings.ReplaceAll(printed, "$", "$$")+"${2}")
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("%s is not what it should be (go test -run TestConfigurationPage ./cmd/archiver -update writes it):\n%s", path, diff)
	}
}

// The archiver takes the example file, once the secrets that it names exist.
func TestExampleFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "archiver.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := regexp.MustCompile(`/run/secrets/([a-z-]+)`)
	files := map[string]string{"archiver.yaml": string(secrets.ReplaceAll(text, []byte("secrets/$1")))}
	for _, match := range secrets.FindAllStringSubmatch(string(text), -1) {
		files["secrets/"+match[1]] = "very-secret"
	}
	files["secrets/database-url"] = "postgres://archiver:very-secret@db.example.com/archiver"
	w := work(t, files)
	w.env = append(w.env, "STOCK_ACCESS_KEY_ID=very-secret", "STOCK_ACCESS_KEY_SECRET=very-secret")
	code, stdout, stderr := w.run(nil, "check", "--config", "archiver.yaml", "--print-config")
	if code != exitDone || stderr != "" || strings.Contains(stdout, "very-secret") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	for _, part := range []string{"- name: shop ", "- name: shop-eu ", "- name: stock ", `schedule: "*/10 * * * *"`, "signs in as the user", "retention: 400d"} {
		if !strings.Contains(terminal.Line(stdout), part) {
			t.Errorf("it does not print %q:\n%s", part, stdout)
		}
	}
	if file, mistakes := configfile.Parse("archiver.yaml", text); len(mistakes) > 0 || len(file.Sources) != 3 {
		t.Errorf("%v", mistakes)
	}
}
