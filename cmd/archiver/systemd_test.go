package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
	unit, err := os.ReadFile(deployed("systemd", "archiver-check.service"))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(unit)) {
		if variable, ok := strings.CutPrefix(strings.TrimSpace(line), "Environment="); ok {
			env = append(env, strings.ReplaceAll(variable, "%d", dir))
		}
	}
	if code, stdout, stderr := in.run(env, "check"); code != exitDone {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}
