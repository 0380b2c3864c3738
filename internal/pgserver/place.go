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

// makeDir creates a folder of ours. One we create as root lets the server's user
// pass through (0711), but not look around; one that was there is left as it is.
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

// elsewhere is where the files the server's user needs go when it cannot reach
// dir: under the system's temporary folder, by a name that follows from dir, so
// that the next start of the same cluster finds it again.
func elsewhere(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), fmt.Sprintf("archiver-postgresql-%x", sum[:8]))
}

// reachable is dir where the account can enter it, else its [elsewhere], made
// ready. Anyone can create a folder of that name in a shared temporary folder
// before us: one that is not ours alone is refused, not used.
func reachable(ctx context.Context, dir string, as *account) (string, error) {
	if as.reaches(ctx, dir) {
		return dir, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	other := elsewhere(dir)
	if err := makeDir(other, as); err != nil {
		return "", err
	}
	if !ownedByUs(other) {
		return "", fmt.Errorf("user %s cannot reach %s, and %s, to be used in its place, is not a folder of this user's alone: remove it", as.name, dir, other)
	}
	if !as.reaches(ctx, other) {
		return "", fmt.Errorf("user %s, whom the server runs as, can reach neither %s nor %s: use another folder", as.name, dir, other)
	}
	return other, nil
}

// ownedByUs says whether dir is a real folder that only we can change.
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

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
