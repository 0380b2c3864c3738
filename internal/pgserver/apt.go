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

// fetchWithApt downloads the distribution's server with all it needs that is not
// installed, and unpacks it into dir/root. The caller holds dir's lock. apt is
// only asked for lists, a plan and downloads, all kept in dir, so it changes
// nothing outside and needs no root. What a crash leaves is cleared away by the
// next attempt; dir/root appears when it is whole.
func fetchWithApt(ctx context.Context, dir string, log *slog.Logger) error {
	for _, name := range []string{"apt-get", "apt-cache", "dpkg"} {
		if _, err := exec.LookPath(name); err != nil {
			return err
		}
	}
	begun := time.Now()
	log.Info("no PostgreSQL server installed: fetching one with apt, this once", "folder", dir)
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
		// One that is there already was found wanting.
		err = os.RemoveAll(filepath.Join(dir, "root"))
	}
	if err == nil {
		err = os.Rename(filepath.Join(work, "root"), filepath.Join(dir, "root"))
	}
	err = errors.Join(err, os.RemoveAll(work))
	if err == nil {
		log.Info("fetched a PostgreSQL server", "seconds", time.Since(begun).Seconds())
	}
	return err
}

// apt is the package manager with folders of our own: lists, cache, debs, root.
type apt struct{ work string }

func (a apt) fetch(ctx context.Context) error {
	// Where one of several sources fails, or a hook does, the rest may well do:
	// why is only told when they do not. (Left alone, apt makes light of it.)
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

// server is the package that "postgresql" stands for in this release.
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

// unneeded matches what the server's packages depend on and the server does not:
// the compiler behind jit, which is off and most of the download; what sets up
// clusters and accounts for a whole system, with the Perl it is written in; and
// the C library, which every program has already and must never find in a second
// version.
var unneeded = regexp.MustCompile(`^(libllvm|libz3-|postgresql-\d+-jit|postgresql-(client-)?common|ssl-cert$|openssl$|netbase$|adduser$|ucf$|debconf|sensible-utils$|perl|libperl|libgdbm|lib(json|common-sense|types-serialiser)-|libc6$|libc-bin$|libc-l10n$|locales)`)

// planned are the packages a simulated installation would bring in.
func planned(plan string) []string {
	var packages []string
	for _, m := range install.FindAllStringSubmatch(plan, -1) {
		if !unneeded.MatchString(m[1]) {
			packages = append(packages, m[1])
		}
	}
	return packages
}

// run runs one of apt's programs, with our folders, and returns what it printed.
func (a apt) run(ctx context.Context, name string, args ...string) (string, error) {
	what := name + " " + args[0]
	if name != "dpkg" {
		args = slices.Concat([]string{
			"-o", "Dir::State::lists=" + filepath.Join(a.work, "lists"),
			"-o", "Dir::Cache=" + filepath.Join(a.work, "cache"),
			"-o", "Acquire::Languages=none",
			"-o", "Acquire::Retries=3",
			// As root, apt would hand downloads to a user who may not reach them.
			"-o", "APT::Sandbox::User=root",
		}, args)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(a.work, "debs") // where apt-get download puts its files
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends it through ctx, its helpers included
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", what, err, lastLines(stderr.String(), 4))
	}
	return string(out), err
}
