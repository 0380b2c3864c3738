package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A unit is a file of systemd's: its lines by the section that they are in.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(deployed("systemd", name))
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
	files, err := filepath.Glob(deployed("systemd", "*.[st]*"))
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
	confinement := func(u unit) []string {
		lines := u["[Service]"]
		return lines[slices.Index(lines, "DynamicUser=yes"):]
	}
	first := readUnit(t, services[0])
	settings, err := os.ReadFile(deployed("systemd", "archiver.env"))
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
		t.Run(name, func(t *testing.T) {
			known := slices.Concat(variables(t, "run"), variables(t, "once"), variables(t, "check"))
			for _, line := range append(u.values("Environment"), strings.Split(string(settings), "\n")...) {
				variable, value, is := strings.Cut(line, "=")
				if !is || strings.HasPrefix(line, "#") {
					continue
				}
				if secret, isFile := strings.CutSuffix(variable, "_FILE"); isFile && slices.Contains(besides, secret) {
					if id, ok := strings.CutPrefix(value, "%d/"); !ok || !credentials[id] {
						t.Errorf("%s is no credential", line)
					}
				} else if variable != "GOMEMLIMIT" && !slices.Contains(known, variable) {
					t.Errorf("%s is not read", variable)
				}
				t.Setenv(variable, value)
			}
			var parsed commands
			if _, err := commandLine(t, &parsed).Parse(args[1:]); err != nil {
				t.Error(err)
			}
		})
	}
	if got := first.values("RestartPreventExitStatus"); !slices.Equal(got, []string{"2"}) {
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

// As the service would see it, with its credentials in files, archiver check is
// content.
func TestSystemdCheck(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 2, 100, 1))
	in := install(t, web.URL)
	dir := t.TempDir()
	for id, value := range map[string]string{"database-url": in.database, "access-key": testAccessKey, "secret-key": testSecretKey} {
		if err := os.WriteFile(filepath.Join(dir, id), []byte(value+"\n"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	in.env = slices.DeleteFunc(in.env, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return name == "DATABASE_URL" || name == "HUAWEICLOUD_SDK_AK" || name == "HUAWEICLOUD_SDK_SK"
	})
	env := readUnit(t, "archiver-check.service").values("Environment")
	for i := range env {
		env[i] = strings.ReplaceAll(env[i], "%d", dir)
	}
	if code, stdout, stderr := in.run(env, "check"); code != exitDone {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}
