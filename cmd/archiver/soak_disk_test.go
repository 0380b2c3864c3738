//go:build soak

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"archiver/internal/pgserver"
)

// soakDisk fills the file system of the database while an archiver works, and frees it
// once the server has said so a random number of times. A server without room for its log ends: then it is
// started again, as by its operator.
func soakDisk(t *testing.T, s *soak) (int, string) {
	restarts, tries := 0, 0
	for round := range s.half() {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			top := smallDisk(t)
			server := s.server(t, pgserver.Options{
				Dir: filepath.Join(top, "cluster"), Settings: map[string]string{"min_wal_size": "32MB", "max_wal_size": "32MB"},
			})
			in, r := s.watched(t, server.URL())
			a := start(t, in, ofDay("backfill")...)
			if !s.reached(r, a, s.pages/2) {
				t.Fatalf("the backfill ended before the disk was full: %s", &a.said)
			}
			ballast := filepath.Join(top, "ballast")
			fill(t, ballast)
			want := 1 + s.random.IntN(6)
			patiently(t, "let the server notice that the disk is full", func(ctx context.Context) error {
				said, err := os.ReadFile(filepath.Join(top, "cluster", "postgres.log"))
				if err != nil {
					return err
				}
				n := strings.Count(string(said), "No space left on device")
				if n == 0 || n < want && pgserver.Exec(ctx, server.URL(), "SELECT 1") == nil {
					return fmt.Errorf("its log says so %d times", n)
				}
				tries += n
				return nil
			})
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if err := pgserver.Exec(t.Context(), server.URL(), "SELECT 1"); err != nil {
				restarts++
				server.Kill()
				if err := server.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			s.neverEarly(t, in)
			a.ended(t)
			s.same(t, in)
		})
	}
	return s.half(), fmt.Sprintf("%d statements found the disk full; %d servers had to be started again; %s", tries, restarts, equal(s.half()))
}

// smallDisk mounts a file system in memory, which takes root.
func smallDisk(t *testing.T) string {
	t.Helper()
	top, err := os.MkdirTemp("", "archiver-soak-")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=400m,mode=0755", "tmpfs", top).CombinedOutput(); err != nil {
		t.Fatalf("mount a small file system (run this test as root): %v: %s", err, out)
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", top).CombinedOutput()
		if err = errors.Join(err, os.Remove(top)); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return top
}

// fill writes a file until the file system is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	// The last blocks as well.
	for err = nil; err == nil; {
		_, err = f.Write(block[:512])
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
