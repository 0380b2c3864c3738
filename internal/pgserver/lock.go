package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is the error of [Start] and [Remove] if a process, possibly this one,
// is using the folder's cluster.
var ErrInUse = errors.New("the cluster is in use")

const lockName = "lock"

// dirLock is an flock on the file "lock" of a folder. The kernel releases the
// lock when the process that holds it ends. The file stays; an unlocked file
// means nothing.
type dirLock struct{ f *os.File }

// release unlocks before closing: a process that is being forked at this moment
// has a copy of the descriptor, which would hold the lock until its exec.
func (l *dirLock) release() error {
	return errors.Join(syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN), l.f.Close())
}

// lockDir takes the lock of a cluster's folder, or fails at once with ErrInUse.
func lockDir(dir string) (*dirLock, error) {
	l, holder, err := tryLock(dir)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, fmt.Errorf("%w by %s: stop that process first, or use another folder", ErrInUse, holder)
	}
	return l, nil
}

// waitLock takes the lock of a folder. It waits while another process holds it.
func waitLock(ctx context.Context, dir string) (*dirLock, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		l, holder, err := tryLock(dir)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s to release %s: %w", holder, dir, ctx.Err())
		case <-tick.C:
		}
	}
}

// tryLock returns no lock and the holder if the lock is taken.
func tryLock(dir string) (l *dirLock, holder string, err error) {
	name := filepath.Join(dir, lockName)
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, "", err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			text, _ := os.ReadFile(name) // the holder's process id, for the error
			return nil, "process " + strings.TrimSpace(string(text)), f.Close()
		}
		if err != nil {
			return nil, "", errors.Join(&os.PathError{Op: "flock", Path: name, Err: err}, f.Close())
		}
		// The previous holder may have removed the folder. A lock on a deleted
		// file protects nothing.
		if !sameFile(f, name) {
			if err := f.Close(); err != nil {
				return nil, "", err
			}
			continue
		}
		if err := writePID(f); err != nil {
			return nil, "", errors.Join(err, f.Close())
		}
		return &dirLock{f}, "", nil
	}
}

func sameFile(f *os.File, name string) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(name)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}
