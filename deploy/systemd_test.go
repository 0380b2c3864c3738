package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A unit is a file of systemd's: its lines by the section that they are in.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	u, section := make(unit), ""
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = line
		default:
			u[section] = append(u[section], line)
		}
	}
	return u
}

// values are what a service's lines of this name say.
func (u unit) values(key string) (found []string) {
	for _, line := range u["[Service]"] {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			found = append(found, value)
		}
	}
	return found
}

// services are the units that run the command.
var services = []string{"archiver.service", "archiver-once.service", "archiver-check.service"}

// systemd reads the units without a word, and finds that they could do little harm.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("systemd", "*.[st]*"))
	if err != nil || len(files) != len(services)+1 {
		t.Fatal(files, err)
	}
	dir := t.TempDir()
	var copied []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// systemd wants to see the command where it is to be.
		to := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/archiver", path)), 0o600); err != nil {
			t.Fatal(err)
		}
		copied = append(copied, to)
	}
	if out := tool(t, "systemd-analyze", append([]string{"verify", "--man=no"}, copied...)...); out != "" {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	for _, file := range copied {
		if strings.HasSuffix(file, ".service") {
			// 0 is no exposure at all, 100 that of a service of which nothing is said.
			tool(t, "systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", file)
		}
	}
}

// The services are told what the command line takes, are confined alike, and have
// time to end.
func TestSystemdCommands(t *testing.T) {
	t.Parallel()
	confinement := func(u unit) []string {
		lines := u["[Service]"]
		return lines[slices.Index(lines, "DynamicUser=yes"):]
	}
	first := readUnit(t, services[0])
	common, err := os.ReadFile(filepath.Join("systemd", "archiver.env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range services {
		u := readUnit(t, name)
		if !slices.Equal(confinement(u), confinement(first)) {
			t.Errorf("%s is confined otherwise than %s", name, services[0])
		}
		args := strings.Fields(u.values("ExecStart")[0])
		if args[0] != "/usr/local/bin/archiver" {
			t.Errorf("%s starts %s", name, args[0])
		}
		credentials := make(map[string]bool)
		for _, c := range u.values("LoadCredential") {
			id, _, _ := strings.Cut(c, ":")
			credentials[id] = true
		}
		known := slices.Concat(secrets, variables(t, "run"), variables(t, "once"), variables(t, "check"))
		env := make(map[string]string)
		for _, line := range append(u.values("Environment"), strings.Split(string(common), "\n")...) {
			variable, value, is := strings.Cut(line, "=")
			if !is || strings.HasPrefix(line, "#") {
				continue
			}
			if secret, isFile := strings.CutSuffix(variable, "_FILE"); isFile && slices.Contains(secrets, secret) {
				if id, ok := strings.CutPrefix(value, "%d/"); !ok || !credentials[id] {
					t.Errorf("%s is no credential", line)
				}
			} else if variable != "GOMEMLIMIT" && !slices.Contains(known, variable) {
				t.Errorf("%s is not read", variable)
			}
			env[variable] = value
		}
		accepts(t, env, args[1:]...)
	}
	if got := first.values("RestartPreventExitStatus"); !slices.Equal(got, []string{strconv.Itoa(exitUsage)}) {
		t.Errorf("restarted after %v", got)
	}
	for _, name := range services[:2] {
		if got := readUnit(t, name).values("TimeoutStopSec"); !slices.Equal(got, []string{"15"}) {
			t.Errorf("%s is killed after %v", name, got)
		}
	}
	if timer := readUnit(t, "archiver-once.timer")["[Timer]"]; !slices.Contains(timer, "OnCalendar=*-*-* *:07:00 UTC") {
		t.Errorf("the timer: %v", timer)
	}
}
