package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func testSearch(t *testing.T) search {
	t.Helper()
	as, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	return search{
		as:   as,
		dirs: func() []string { return nil },
		fetch: func(context.Context, string, *slog.Logger) error {
			return errors.New("no network today")
		},
	}
}

// fakeServer makes a folder of programs that report a version.
func fakeServer(t *testing.T, dir, version string) {
	t.Helper()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + " (Debian)'\n"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Error(err)
		}
	}
}

// open is a folder that the server's user can enter.
func open(t *testing.T) string {
	t.Helper()
	as, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	if err := makeDir(dir, as); err != nil {
		t.Fatal(err)
	}
	l, err := lockDir(dir) // Remove deletes only folders with a lock file
	if err != nil {
		t.Fatal(err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	dir, err = reachable(t.Context(), dir, as)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNothingFound(t *testing.T) {
	t.Parallel()
	_, err := testSearch(t).ensure(t.Context(), open(t), slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("found a server in no folders")
	}
	for _, want := range []string{"version 13", "PATH", "/usr/lib/postgresql/*/bin", "no network today", "apt-get install postgresql", "docker compose up"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s, dir := testSearch(t), open(t)
	var dirs []string
	for _, v := range []string{"12.22", "13.1", "17.5"} {
		d := filepath.Join(dir, "v"+v, "bin")
		fakeServer(t, d, v)
		dirs = append(dirs, d)
	}
	empty := filepath.Join(dir, "empty")
	b, tried := s.find(t.Context(), append([]string{empty}, dirs...), "")
	if b.dir != dirs[1] || b.version != 13 {
		t.Errorf("found %+v (%q), want the first usable one, 13", b, tried)
	}
	s.wanted = 17
	if b, _ := s.find(t.Context(), dirs, ""); b.dir != dirs[2] {
		t.Errorf("found %+v, want 17", b)
	}
	_, tried = s.find(t.Context(), []string{empty, dirs[0]}, "")
	if text := strings.Join(tried, "; "); !strings.Contains(text, "version 12 is too old") || !strings.Contains(text, "it has no postgres") {
		t.Errorf("nothing found: %q, want the reasons", tried)
	}
}

func TestHighestVersionFirst(t *testing.T) {
	t.Parallel()
	got := byVersion([]string{"/usr/lib/postgresql/9.6/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/17/bin", "/x/bin"})
	want := []string{"/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/9.6/bin", "/x/bin"}
	if !slices.Equal(got, want) {
		t.Errorf("order: %q, want %q", got, want)
	}
}

func TestFetchedOnceAndFoundAgain(t *testing.T) {
	t.Parallel()
	s, dir := testSearch(t), open(t)
	var fetched atomic.Int32
	s.fetch = func(_ context.Context, dir string, _ *slog.Logger) error {
		work := filepath.Join(dir, "work")
		fakeServer(t, filepath.Join(work, "usr/lib/postgresql/16/bin"), fmt.Sprintf("16.%d", fetched.Add(1)))
		if err := os.MkdirAll(filepath.Join(work, "usr/lib/x86_64-linux-gnu"), 0o755); err != nil {
			return err
		}
		return os.Rename(work, filepath.Join(dir, "root"))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			b, err := s.ensure(t.Context(), dir, slog.New(slog.DiscardHandler))
			if err != nil || b.version != 16 || b.libs != filepath.Join(dir, "root/usr/lib/x86_64-linux-gnu") {
				t.Errorf("ensure: %+v, %v", b, err)
			}
		})
	}
	all.Wait()
	if n := fetched.Load(); n != 1 {
		t.Errorf("fetched %d times, want once", n)
	}
}

func TestInstalledServerIsFound(t *testing.T) {
	t.Parallel()
	s := testSearch(t)
	s.dirs = systemDirs
	b, err := s.ensure(t.Context(), open(t), slog.New(slog.DiscardHandler))
	if err == nil && (b.version < minVersion || !isFile(filepath.Join(b.dir, "initdb"))) {
		t.Errorf("found %+v", b)
	}
	if err != nil && !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("not found, and the error does not say what to do: %v", err)
	}
}

func TestAptsAnswers(t *testing.T) {
	t.Parallel()
	m := serverPackage.FindStringSubmatch("postgresql\n  Depends: postgresql-15\n  Suggests: postgresql-doc\n")
	if m == nil || m[1] != "postgresql-15" {
		t.Errorf("server package: %q", m)
	}
	got := planned("Reading package lists...\n" +
		"Inst libicu72 (72.1-3 Debian:12.11/oldstable [amd64])\n" +
		"Inst libllvm14 (1:14.0.6-12 Debian:12.11/oldstable [amd64])\n" +
		"Inst libc6 [2.36-9] (2.36-10 Debian:12.11/oldstable [amd64])\n" +
		"Inst postgresql-common (248 Debian:12.11/oldstable [all])\n" +
		"Inst postgresql-client-15 (15.13 Debian:12.11/oldstable [amd64])\n" +
		"Inst postgresql-15 (15.13 Debian:12.11/oldstable [amd64])\n" +
		"Conf libicu72 (72.1-3 Debian:12.11/oldstable [amd64])\n")
	if want := []string{"libicu72", "postgresql-client-15", "postgresql-15"}; !slices.Equal(got, want) {
		t.Errorf("to fetch: %q, want %q", got, want)
	}
}
