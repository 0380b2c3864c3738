package pgserver

import (
	"os"
	"path/filepath"
	"testing"
)

func TestInMemory(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	want := filepath.Join(dir, "data")
	home := elsewhere(memory, dir)
	if freeMemory() >= memoryNeeded {
		want = filepath.Join(home, "data")
	}
	s, err := Start(t.Context(), Options{Dir: dir, Fast: true, InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() }) // reported below
	if got := dataOf(s); got != want {
		t.Errorf("the data are in %s, want %s", got, want)
	}
	if err := RemoveOrphans(t.Context()); err != nil {
		t.Fatal(err)
	}
	query(t, s.URL(), "SELECT 'still there'")
	stop(t, s)

	// rm -rf of the folder does not remove the data in memory.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := RemoveOrphans(t.Context()); err != nil {
		t.Fatal(err)
	}
	if isDir(home) {
		t.Errorf("%s is still there, its folder is not", home)
	}
}
