package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// fetchWithApt downloads the distribution's server and its dependencies that are
// not installed, and unpacks them into dir/root. The caller holds dir's lock. apt
// only downloads lists and packages and simulates an installation, all in dir, so
// it changes nothing elsewhere and needs no root. A crash leaves dir/work, which
// the next attempt removes. dir/root appears only when it is complete.
func fetchWithApt(ctx context.Context, dir string, log *slog.Logger) error {
	for _, name := range []string{"apt-get", "apt-cache", "dpkg"} {
		if _, err := exec.LookPath(name); err != nil {
			return err
		}
	}
	begun := time.Now()
	log.Info("no PostgreSQL server is installed: downloading one with apt, once", "folder", dir)
	work := filepath.Join(dir, "work")
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	a := apt{work: work}
	for _, name := range []string{"lists/partial", "cache/archives/partial", "debs", "root"} {
		if err := os.MkdirAll(filepath.Join(work, name), 0o755); err != nil {
			return err
		}
	}
	err := a.fetch(ctx)
	if err == nil {
		// A root that exists already could not be used.
		err = os.RemoveAll(filepath.Join(dir, "root"))
	}
	if err == nil {
		err = os.Rename(filepath.Join(work, "root"), filepath.Join(dir, "root"))
	}
	err = errors.Join(err, os.RemoveAll(work))
	if err == nil {
		log.Info("downloaded a PostgreSQL server", "seconds", time.Since(begun).Seconds())
	}
	return err
}

// apt runs the package manager with its lists, cache, debs and root in work.
type apt struct{ work string }

func (a apt) fetch(ctx context.Context) error {
	// If one of several sources or a hook fails, the other sources may suffice. The
	// error is reported only if they do not.
	_, updateErr := a.run(ctx, "apt-get", "update", "-o", "APT::Update::Error-Mode=any")
	server, err := a.server(ctx)
	if err != nil {
		return errors.Join(updateErr, err)
	}
	plan, err := a.run(ctx, "apt-get", "install", "--simulate", "--no-install-recommends", server)
	if err != nil {
		return errors.Join(updateErr, err)
	}
	packages := planned(plan)
	if len(packages) == 0 {
		return fmt.Errorf("%s is installed already, yet cannot be used", server)
	}
	if _, err := a.run(ctx, "apt-get", append([]string{"download"}, packages...)...); err != nil {
		return errors.Join(updateErr, err)
	}
	for _, deb := range glob(filepath.Join(a.work, "debs", "*.deb")) {
		if _, err := a.run(ctx, "dpkg", "--extract", deb, filepath.Join(a.work, "root")); err != nil {
			return err
		}
	}
	return nil
}

var serverPackage = regexp.MustCompile(`(?m)^\s*Depends: (postgresql-\d+)$`)

// server is the package that "postgresql" depends on in this release.
func (a apt) server(ctx context.Context) (string, error) {
	out, err := a.run(ctx, "apt-cache", "depends", "postgresql")
	if err != nil {
		return "", err
	}
	m := serverPackage.FindStringSubmatch(out)
	if m == nil {
		return "", errors.New("apt knows no package postgresql")
	}
	return m[1], nil
}

var install = regexp.MustCompile(`(?m)^Inst (\S+)`)

// unneeded matches dependencies of the server's packages that the server itself
// does not need: the compiler for jit, which is off and would be most of the
// download; tools that manage clusters and accounts of a system, and their Perl;
// and the C library, of which a program must never find a second version.
var unneeded = regexp.MustCompile(`^(libllvm|libz3-|postgresql-\d+-jit|postgresql-(client-)?common|ssl-cert$|openssl$|netbase$|adduser$|ucf$|debconf|sensible-utils$|perl|libperl|libgdbm|lib(json|common-sense|types-serialiser)-|libc6$|libc-bin$|libc-l10n$|locales)`)

// planned are the packages that a simulated installation would install.
func planned(plan string) []string {
	var packages []string
	for _, m := range install.FindAllStringSubmatch(plan, -1) {
		if !unneeded.MatchString(m[1]) {
			packages = append(packages, m[1])
		}
	}
	return packages
}

// run runs one of apt's programs with the folders in work and returns its output.
func (a apt) run(ctx context.Context, name string, args ...string) (string, error) {
	what := name + " " + args[0]
	if name != "dpkg" {
		args = slices.Concat([]string{
			"-o", "Dir::State::lists=" + filepath.Join(a.work, "lists"),
			"-o", "Dir::Cache=" + filepath.Join(a.work, "cache"),
			"-o", "Acquire::Languages=none",
			"-o", "Acquire::Retries=3",
			// As root, apt would download as a user who may not reach the folder.
			"-o", "APT::Sandbox::User=root",
		}, args)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(a.work, "debs") // where apt-get download puts its files
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends it and its children through ctx
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", what, err, lastLines(stderr.String(), 4))
	}
	return string(out), err
}
