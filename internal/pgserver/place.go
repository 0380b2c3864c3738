package pgserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// makeDir creates a folder with mode 0700. Created by root, its mode is 0711, so
// that the server's user can pass through it but not list it. An existing folder
// is left unchanged.
func makeDir(dir string, as *account) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil || as == nil:
		return err
	}
	return os.Chmod(dir, 0o711)
}

// memory is where Linux has a file system in memory, and memoryNeeded what a
// cluster of tests may fill of it, with room for others.
const (
	memory       = "/dev/shm"
	memoryNeeded = 4 << 30
)

// elsewhere is the folder under top for data that cannot be in dir. Its name is
// derived from dir, so that the next start of the cluster finds it.
func elsewhere(top, dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(top, fmt.Sprintf("archiver-postgresql-%x", sum[:8]))
}

// reachable is dir if the account can enter dir, else a folder under
// [os.TempDir].
func reachable(ctx context.Context, dir string, as *account) (string, error) {
	if as.reaches(ctx, dir) {
		return dir, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	other := elsewhere(os.TempDir(), dir)
	if err := makeHome(ctx, other, dir, as); err != nil {
		return "", fmt.Errorf("user %s, who runs the server, cannot reach %s: %w", as.name, dir, err)
	}
	return other, nil
}

// folderLink is the name of a link from a home elsewhere to the cluster's folder.
const folderLink = "folder"

// makeHome makes a folder elsewhere for the data of the cluster in dir. Another
// user can create a folder of that name first, because top is shared: a folder
// that others can write to is an error.
func makeHome(ctx context.Context, home, dir string, as *account) error {
	if err := makeDir(home, as); err != nil {
		return err
	}
	if !ownedByUs(home) {
		return fmt.Errorf("%s, to be used instead, belongs to another user or others can write to it: remove it", home)
	}
	if err := os.Symlink(dir, filepath.Join(home, folderLink)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !as.reaches(ctx, home) {
		return fmt.Errorf("the server's user cannot reach %s either: use another folder", home)
	}
	return nil
}

// ownedByUs reports whether dir is a folder, not a link, that only the current
// user can change.
func ownedByUs(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && info.Mode().Perm()&0o022 == 0 && owner(info) == uint32(os.Geteuid())
}

func owner(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return ^uint32(0)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
