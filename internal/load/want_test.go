package load

import (
	"testing"

	"archiver/internal/archive"
)

// A process that has nothing to do asks each other one for half of what that
// has, and for nothing of one that has a single function. Who has it sees that
// with its next commit, or when it renews its claim; the next one starts anew.
func TestWant(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	idle := openStore(t, a.url)
	single := openStore(t, a.url)
	var known []archive.Known
	var claims []*claim
	for _, name := range []string{"a", "b", "c", "d"} {
		known = append(known, a.function(name))
	}
	for _, f := range known[:3] {
		claims = append(claims, a.claim(f))
	}
	claims = append(claims, claimOf(t, single, known[3]))
	if err := idle.Want(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	commit(t, claims[0], page(span(0, 1), noted))
	for _, c := range claims[1:] {
		if c.Wanted() {
			t.Errorf("%s is wanted before anything was asked", c.function.Name)
		}
		if err := c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for n, c := range claims {
		if want := n == 0; c.Wanted() != want {
			t.Errorf("%s is wanted: %t", c.function.Name, !want)
		}
	}
	if err := claims[0].Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := claimOf(t, idle, known[0])
	if err := next.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if next.Wanted() {
		t.Error("it is wanted by who has it")
	}
	if err := next.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := idle.Want(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	commit(t, claims[1], lastPage(span(0, 1), noted))
	if !claims[1].Wanted() {
		t.Error("b, one of the two that are left, is not wanted")
	}
}
