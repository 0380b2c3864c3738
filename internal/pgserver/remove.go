package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Remove deletes a cluster's folder, and its data if they are in another folder. It
// first stops a server that a killed process left running. The error is [ErrInUse]
// if a process uses the cluster. A folder without a cluster is only removed if it
// is empty.
func Remove(ctx context.Context, dir string) error {
	if err := remove(ctx, dir); err != nil {
		return fmt.Errorf("remove the cluster in %s: %w", dir, err)
	}
	return nil
}

func remove(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if !isFile(filepath.Join(dir, lockName)) {
		// Not a cluster's folder. An empty one can be left by a start that failed.
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	lock, err := lockDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = endOrphan(ctx, filepath.Join(dir, "data"))
	for _, top := range []string{os.TempDir(), memory} {
		err = errors.Join(err, removeHome(ctx, elsewhere(top, dir)))
	}
	if err == nil {
		err = empty(dir)
	}
	return errors.Join(err, lock.release())
}

// removeHome removes a cluster's home elsewhere, if there is one.
func removeHome(ctx context.Context, home string) error {
	if !ownedByUs(home) {
		return nil
	}
	if err := endOrphan(ctx, filepath.Join(home, "data")); err != nil {
		return err
	}
	return os.RemoveAll(home)
}

// RemoveOrphans removes data in memory whose cluster's folder has been deleted
// by other means than [Remove].
func RemoveOrphans(ctx context.Context) (err error) {
	for _, home := range glob(filepath.Join(memory, "archiver-postgresql-*")) {
		dir, linkErr := os.Readlink(filepath.Join(home, folderLink))
		if linkErr == nil && !isDir(dir) {
			err = errors.Join(err, removeHome(ctx, home))
		}
	}
	return err
}

// empty removes a folder whose lock the caller holds, and the lock last. If another
// process creates a new lock at that moment, the folder stays for that process.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != lockName {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err == nil {
		err = os.Remove(filepath.Join(dir, lockName))
	}
	if err == nil {
		err = os.Remove(dir)
	}
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
