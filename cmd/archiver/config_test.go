package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/terminal"
)

var update = flag.Bool("update", false, "write what tests compare with")

// A workplace is a folder in which the binary runs.
type workplace struct {
	t     *testing.T
	dir   string
	env   []string // all that the binary gets
	raced bool     // the binary has the race detector where the tests have it, at any cost
}

// work makes a workplace with files, by their paths in it.
func work(t *testing.T, files map[string]string) *workplace {
	t.Helper()
	w := &workplace{t: t, dir: t.TempDir()}
	for name, text := range files {
		w.write(name, text)
	}
	w.env = []string{"HOME=" + w.dir, "PATH=" + os.Getenv("PATH"), "ARCHIVER_LOG_LEVEL=warn"}
	return w
}

// write writes a file.
func (w *workplace) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs the binary to its end.
func (w *workplace) run(env []string, args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	path, err := binary(w.raced)
	if err != nil {
		w.t.Fatalf("build the archiver: %v", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = w.dir, append(slices.Clone(w.env), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("run archiver %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -run '%s' ./cmd/archiver -update writes it):\n%s", path, t.Name(), diff)
	}
}

const wrongFile = `log-formt: json
database-url: postgres://someone:very-secret@db/archive
listen: 8080
schedule: every hour
lisen: x
settle: 10
sources:
  - name: shop
    regoin: cn-north-4
    provider: functiongrap
    functions: ["a[", "!b"]
    listen: 127.0.0.1:80
    access-key: very-secret
    insecure: yes
  - name: shop
    region: cn-north-4
    concurrency: 010
    access-key-file: none
    retention: 4d
  - region: [a]
    name: otc!
    account-id: 5
    lookback: ~
    schedule: "0 0 31 2 *"
  - name: fc
    provider: functioncompute
    project: x
    account-id: 188
    region: cn-hangzhou
    access-key-env: NOT_SET
    secret-key-file: empty
    secret-key-env: SET
    rate: -1
    request-timeout: soon
  - region: cn-north-4
    source: fc
    versions: some
    sources: []
`

// All mistakes are told at once: those in the file with line, column and the nearest
// right name, and those in flags and environment. No mistake repeats a secret, and
// nothing is tried.
func TestMistakesInTheFile(t *testing.T) {
	t.Parallel()
	w := work(t, map[string]string{"archiver.yaml": wrongFile, "empty": ""})
	code, stdout, stderr := w.run([]string{"SET=very-secret", "ARCHIVER_RATE=fast", "ARCHIVER_PROVIDER=functiongraf"},
		"run", "--config", "archiver.yaml", "--source", "shop,fcc")
	if code != exitUsage || stdout != "" {
		t.Errorf("exit %d, standard output %q", code, stdout)
	}
	if strings.Contains(stderr, "very-secret") {
		t.Error("a secret is repeated")
	}
	golden(t, "mistakes.txt", stderr)
}

// Mistakes that concern a source as a whole, or several sources.
func TestMistakesOfSources(t *testing.T) {
	t.Parallel()
	w := work(t, map[string]string{"archiver.yaml": `retention: 40d
sources:
  - {name: unknown, region: atlantis, auth-token-env: TOKEN}
  - {name: plain, endpoint: "http://functiongraph.example.com", project-id: p, auth-token-env: TOKEN}
  - {name: nowhere, project-id: p, auth-token-env: TOKEN}
  - {name: half, region: cn-north-4, project-id: p, access-key-env: KEY}
  - {name: both, region: cn-north-4, project-id: p, project: p, auth-token-env: TOKEN}
  - {name: user, region: cn-north-4, username: reader, domain: d}
  - {name: payload, region: cn-north-4, include-payload: true, auth-token-env: TOKEN}
  - {name: long, region: cn-north-4, project-id: other, auth-token-env: TOKEN, lookback: 41d}
  - {name: one, region: cn-north-4, project-id: q, auth-token-env: TOKEN, functions: [orders-*, "!*-test"]}
  - {name: apart, region: cn-north-4, project-id: q, auth-token-env: TOKEN, functions: [stock-*, orders-test]}
  - {name: same, region: cn-north-4, project-id: q, auth-token-env: TOKEN, functions: ["*-eu"]}
  - {name: account, provider: functioncompute, region: cn-hangzhou, access-key-env: KEY, secret-key-env: KEY}
  - {name: a token, region: cn-north-4, auth-token-env: TOKEN}
  - {name: fc, provider: functioncompute, region: cn-hangzhou, account-id: 1, auth-token-env: TOKEN}
  - {name: soon, region: cn-north-4, project-id: z, auth-token-env: TOKEN, settle: soon}
`})
	code, _, stderr := w.run([]string{"TOKEN=t", "KEY=k"}, "once", "--config", "archiver.yaml")
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	golden(t, "mistakes-of-sources.txt", stderr)
}

// A flag or variable that says which account is read cannot hold for several sources
// that name their own account. --source takes only names in the file.
func TestAmbiguous(t *testing.T) {
	t.Parallel()
	w := work(t, map[string]string{
		"archiver.yaml": "sources:\n  - {name: shop, region: cn-north-4, project: p, auth-token-env: TOKEN}\n  - {name: stock, region: eu-de, project: q, auth-token-env: TOKEN}\n",
		"one.yaml":      "region: cn-north-4\n",
	})
	w.env = append(w.env, "TOKEN=t", "DATABASE_URL=postgres://127.0.0.1:1/archive")
	for _, test := range []struct {
		name string
		env  []string
		args []string
		says string
	}{
		{"a flag", nil, []string{"once", "--config", "archiver.yaml", "--region", "eu-de"}, "--region would hold for 2 sources at once, but archiver.yaml:2:18 has another region"},
		{"the environment", []string{"ARCHIVER_REGION=cn-north-4"}, []string{"check", "--config", "archiver.yaml"}, "ARCHIVER_REGION would hold for 2 sources at once, but archiver.yaml:3:19"},
		{"the SDK's variable", []string{"HUAWEICLOUD_SDK_PROJECT_ID=x"}, []string{"run", "--config", "archiver.yaml"}, "HUAWEICLOUD_SDK_PROJECT_ID would hold for 2 sources at once, but archiver.yaml:2:38 has another project"},
		{"no such source", nil, []string{"once", "--config", "archiver.yaml", "--source", "stock,shp"}, `--source: there is no source "shp" in archiver.yaml, did you mean "shop"? It has shop, stock`},
		{"no list", nil, []string{"once", "--config", "one.yaml", "--source", "a"}, "--source picks sources of a configuration file, and there is none"},
		{"no file", nil, []string{"once", "--source", "a"}, "--source picks sources of a configuration file, and there is none"},
		{"no file of this name", nil, []string{"status", "--config", "none.yaml"}, "none.yaml: cannot be read: no such file"},
		{"an empty name", nil, []string{"status", "--config", ""}, "--config names no file"},
		{"the simulator", nil, []string{"simulate", "--config", "one.yaml"}, "--config is not for simulate"},
		{"the demo", nil, []string{"demo", "--config", "one.yaml"}, "--config is not for demo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := w.run(test.env, test.args...)
			if code != exitUsage || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d, want %q:\n%s", code, test.says, stderr)
			}
		})
	}
}

// An unknown variable with the prefix ARCHIVER_ leads to a warning, with the nearest
// known one. Variables of other tools do not.
func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	w := work(t, nil)
	w.env = append(w.env, "DATABASE_URL=postgres://127.0.0.1:1/archive", "ARCHIVER_LOG_FORMAT=json")
	quiet := []string{
		"ARCHIVER_TEST_TRACE=x", "ARCHIVER_SOAK=1", "ARCHIVER_AUTH_TOKEN_FILE=x", "ARCHIVER_PASSWORD=x", "ARCHIVER_CONCURRENCY=3", "ARCHIVER_SEED=3",
		"ARCHIVER_PORT=tcp://10.0.0.1:8080", "ARCHIVER_PORT_8080_TCP_ADDR=10.0.0.1", "ARCHIVER_SERVICE_HOST=10.0.0.1", "MYARCHIVER_SETTEL=1",
	}
	if _, _, stderr := w.run(quiet, "status"); strings.Contains(stderr, "WARN") {
		t.Error(stderr)
	}
	_, _, stderr := w.run([]string{"ARCHIVER_SETTEL=4m", "ARCHIVER_ACCESS_KEY=very-secret", "ARCHIVER_XYZZY="}, "status")
	for _, part := range []string{
		`ARCHIVER_SETTEL is set, and the archiver has no such variable, did you mean \"ARCHIVER_SETTLE\"?`,
		`ARCHIVER_ACCESS_KEY is set, and the archiver has no such variable`, `ARCHIVER_XYZZY is set, and the archiver has no such variable"`,
	} {
		if !strings.Contains(stderr, part) {
			t.Errorf("it does not say %s", part)
		}
	}
	if strings.Contains(stderr, "very-secret") || strings.Count(stderr, `"level":"WARN"`) != 3 {
		t.Error(stderr)
	}
}

// The file may name the database. The printed address has no user and no password.
func TestDatabaseByFile(t *testing.T) {
	t.Parallel()
	w := work(t, map[string]string{
		"archiver.yaml": "database-url-file: secrets/url\nregion: cn-north-4\nproject-id: p\n", "secrets/url": "postgres://someone:very-secret@127.0.0.1:1/one\n",
	})
	w.env = append(w.env, "HUAWEICLOUD_SDK_AK=a", "HUAWEICLOUD_SDK_SK=s")
	for _, test := range []struct{ env, says string }{
		{"", "database-url: 127.0.0.1:1/one # file secrets/url, archiver.yaml:1:1"},
		{"DATABASE_URL=postgres://someone:very-secret@127.0.0.1:1/two", "database-url: 127.0.0.1:1/two # environment DATABASE_URL"},
	} {
		_, stdout, stderr := w.run([]string{test.env}, "check", "--print-config", "--config", "archiver.yaml")
		if !strings.Contains(terminal.Line(stdout), test.says) || strings.Contains(stdout+stderr, "very-secret") || strings.Contains(stdout+stderr, "someone") {
			t.Errorf("want %s:\n%s%s", test.says, stdout, stderr)
		}
	}
	code, _, stderr := w.run(nil, "status", "--config", "archiver.yaml")
	if code != exitIncomplete || !strings.Contains(stderr, "127.0.0.1:1/one") || strings.Contains(stderr, "very-secret") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
