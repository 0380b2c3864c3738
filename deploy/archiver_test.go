// Package deploy holds the tests of the files that run and watch the archiver. The
// tests are a module of their own: their libraries (Kubernetes, kustomize, compose)
// are not libraries of the archiver.
//
// What a file tells the archiver is held against the command itself: its flags, its
// environment variables, its exit codes.
package deploy

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// exitUsage is the exit code for wrong usage or configuration.
const exitUsage = 2

// secrets are the variables that the archiver reads and no flag has. Each may also be
// given as the name of a file, in a variable that ends in _FILE.
var secrets = []string{
	"DATABASE_URL", "PGPASSWORD", "ARCHIVER_AUTH_TOKEN", "ARCHIVER_PASSWORD",
	"HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_PROJECT_ID", "HUAWEICLOUD_SDK_SECURITY_TOKEN",
	"ALIBABA_CLOUD_ACCOUNT_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN",
}

// binary is the archiver: the one that ARCHIVER_TEST_BINARY names, or a new build.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("ARCHIVER_TEST_BINARY"); path != "" {
		return path, nil
	}
	path, err := filepath.Abs(filepath.Join("..", ".archiver", "bin", "archiver-of-deploy"))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", path, "./cmd/archiver")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// run runs the archiver to its end in this environment alone.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build the archiver: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("archiver %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// accepts fails if the archiver finds a mistake in these arguments or in this
// environment. The archiver is not told the database: where all else is right, it
// says so, and does nothing.
func accepts(t *testing.T, env map[string]string, args ...string) {
	t.Helper()
	var want string
	code := exitUsage
	switch args[0] {
	case "check": // reports a database that is not set among other things
		args, code = append(slices.Clone(args), "--print-config"), 0
	case "simulate": // has no database
		args, code = append(slices.Clone(args), "--help"), 0
	default:
		want = "archiver: DATABASE_URL is not set: name the database, such as postgres://user:password@host:5432/archiver\n"
	}
	without := make(map[string]string)
	for name, value := range env {
		if name != "DATABASE_URL" && name != "DATABASE_URL_FILE" {
			without[name] = value
		}
	}
	if got, _, stderr := run(t, without, args...); got != code || stderr != want {
		t.Errorf("archiver %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, stderr)
	}
}

// settings are those that the archiver has in this environment, by their keys in a
// configuration file.
func settings(t *testing.T, env map[string]string) map[string]any {
	t.Helper()
	code, stdout, stderr := run(t, env, "check", "--print-config")
	if code != 0 {
		t.Fatalf("archiver check --print-config: exit %d\n%s", code, stderr)
	}
	var found map[string]any
	if err := yaml.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatal(err)
	}
	return found
}

var flag = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`)

// variables are those that give a command's flags their values.
func variables(t *testing.T, command string) (names []string) {
	t.Helper()
	code, stdout, stderr := run(t, nil, command, "--help")
	if code != 0 {
		t.Errorf("archiver %s --help: exit %d\n%s", command, code, stderr)
	}
	for _, f := range flag.FindAllStringSubmatch(stdout, -1) {
		if f[1] == "help" || f[1] == "version" {
			continue
		}
		names = append(names, "ARCHIVER_"+strings.ToUpper(strings.ReplaceAll(f[1], "-", "_")))
	}
	return names
}

// tool runs a program of the distribution. `make test` fetches a missing one.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		var absent error
		if path, absent = exec.LookPath(filepath.Join("..", ".archiver", "tools", "bin", name)); absent != nil {
			t.Fatalf("%v: make test fetches it", err)
		}
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
