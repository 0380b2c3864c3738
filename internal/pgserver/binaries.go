package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// minVersion is the oldest usable server: the first with DROP DATABASE … WITH
// (FORCE).
const minVersion = 13

// binaries are the programs of one PostgreSQL server.
type binaries struct {
	dir     string // holds postgres and initdb, and psql if the client is installed
	version int    // major version
	libs    string // LD_LIBRARY_PATH of downloaded binaries, else empty
}

// search says where to look for binaries, and how to download them.
type search struct {
	as     *account
	wanted int // major version; 0 is any from minVersion
	dirs   func() []string
	fetch  func(ctx context.Context, dir string, log *slog.Logger) error
}

// ensureBinaries looks for an installed server of version 13 or later: on PATH,
// then in the places that distributions use, the highest version first. It skips
// a server that the server's user cannot execute.
//
// If there is none, it downloads packages with apt and unpacks them into dir, or
// into a folder under [os.TempDir] if the server's user cannot reach dir. It
// installs nothing and needs no root. Later calls find the unpacked server, and
// concurrent processes download it once.
//
// A version that is not 0 is the only one that is usable. If it is not installed,
// npm downloads it, into a folder of its own next to dir.
func ensureBinaries(ctx context.Context, as *account, dir string, version int, log *slog.Logger) (binaries, error) {
	s := search{as: as, wanted: version, dirs: systemDirs, fetch: fetchWithApt}
	if version != 0 {
		s.fetch = npm(version).fetch
		dir += "-" + strconv.Itoa(version)
	}
	return s.ensure(ctx, dir, log)
}

func (s search) ensure(ctx context.Context, dir string, log *slog.Logger) (_ binaries, err error) {
	b, tried := s.find(ctx, s.dirs(), "")
	if b.dir != "" {
		return b, nil
	}
	if err := ctx.Err(); err != nil {
		return binaries{}, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return binaries{}, err
	}
	if err := makeDir(dir, s.as); err != nil {
		return binaries{}, err
	}
	dir, err = reachable(ctx, dir, s.as)
	if err != nil {
		return binaries{}, err
	}
	root := filepath.Join(dir, "root")
	if b, _ := s.findFetched(ctx, root); b.dir != "" {
		return b, nil
	}
	lock, err := waitLock(ctx, dir)
	if err != nil {
		return binaries{}, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if b, _ := s.findFetched(ctx, root); b.dir != "" { // another process downloaded it while this one waited for the lock
		return b, nil
	}
	if err := s.fetch(ctx, dir, log); err != nil {
		if ctx.Err() != nil {
			return binaries{}, fmt.Errorf("download a PostgreSQL server: %w", ctx.Err())
		}
		return binaries{}, s.notFound(append(tried, lastLines(err.Error(), 8)))
	}
	b, triedFetched := s.findFetched(ctx, root)
	if b.dir == "" {
		return b, s.notFound(append(tried, triedFetched...))
	}
	return b, nil
}

// notFound is the error if no server is usable. tried says why, for each place.
func (s search) notFound(tried []string) error {
	version, advice := fmt.Sprintf("%d or later", minVersion),
		"install one with `apt-get install postgresql`, or run everything in containers with `docker compose up`"
	if s.wanted != 0 {
		version, advice = strconv.Itoa(s.wanted), "install it, or install npm, which downloads it"
	}
	return fmt.Errorf("found no PostgreSQL server of version %s on PATH or in %s (%s): %s",
		version, strings.Join(places, ", "), strings.Join(tried, "; "), advice)
}

// find returns the first folder with a usable server, or no dir and the reasons.
func (s search) find(ctx context.Context, dirs []string, libs string) (binaries, []string) {
	var tried []string
	for _, dir := range dirs {
		b := binaries{dir: dir, libs: libs}
		var err error
		if b.version, err = s.version(ctx, b); err == nil {
			return b, nil
		}
		tried = append(tried, fmt.Sprintf("%s: %v", dir, err))
	}
	return binaries{}, tried
}

func (s search) findFetched(ctx context.Context, root string) (binaries, []string) {
	var libs []string
	for _, pattern := range []string{"usr/lib/*-linux-*", "lib/*-linux-*"} {
		libs = append(libs, glob(filepath.Join(root, pattern))...)
	}
	dirs := append(byVersion(glob(filepath.Join(root, "usr/lib/postgresql/*/bin"))), glob(filepath.Join(root, npmPrograms))...)
	return s.find(ctx, dirs, strings.Join(libs, ":"))
}

var versionOf = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// version asks the server for its version, as the user who will run it.
func (s search) version(ctx context.Context, b binaries) (int, error) {
	for _, name := range []string{"postgres", "initdb"} {
		if !isFile(filepath.Join(b.dir, name)) {
			return 0, fmt.Errorf("it has no %s", name)
		}
	}
	out, err := s.as.command(ctx, b, filepath.Join(b.dir, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("postgres --version: %w: %s", err, lastLines(string(out), 2))
	}
	m := versionOf.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("postgres --version says %q", out)
	}
	v, err := strconv.Atoi(string(m[1]))
	switch {
	case err == nil && v < minVersion:
		err = fmt.Errorf("version %d is too old", v)
	case err == nil && s.wanted != 0 && v != s.wanted:
		err = fmt.Errorf("it is version %d", v)
	}
	return v, err
}

// places are where packages install a server, mostly outside of PATH.
var places = func() []string {
	p := []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"}
	if runtime.GOOS == "darwin" {
		p = append(p, "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin")
	}
	return p
}()

// systemDirs are the folders on this machine that may have a server's programs.
func systemDirs() []string {
	var dirs []string
	if name, err := exec.LookPath("postgres"); err == nil {
		// On PATH may be a link; initdb is in the folder that it leads to.
		if name, err = filepath.EvalSymlinks(name); err == nil {
			dirs = append(dirs, filepath.Dir(name))
		}
	}
	for _, pattern := range places {
		for _, dir := range byVersion(glob(pattern)) {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

func glob(pattern string) []string {
	names, _ := filepath.Glob(pattern) // only malformed patterns fail
	return names
}

var number = regexp.MustCompile(`\d+`)

// byVersion sorts folders by the last number in their paths, highest first.
func byVersion(dirs []string) []string {
	version := func(dir string) int {
		all := number.FindAllString(dir, -1)
		if all == nil {
			return 0
		}
		n, _ := strconv.Atoi(all[len(all)-1])
		return n
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return dirs
}
