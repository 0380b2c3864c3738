package load

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// Two pages share a transaction. One of them has a record that another function
// brought in, in flight: the record is found, and replaced.
func TestNewPageMeetsRecordInFlight(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c, other, second := a.newClaim("f"), a.newClaim("g"), a.newClaim("h")
	s := span(0, 1)
	for _, of := range []*claim{c, second} {
		commit(t, of, page(s, noted, record("first of "+of.function.Name, archive.StatusSuccess, hour(0))))
	}
	commit(t, other, lastPage(s, noted, record("r", archive.StatusRunning, hour(0))))
	b := page(s, later, record("new", archive.StatusSuccess, hour(0)), record("r", archive.StatusSuccess, hour(0)))
	d := page(s, later, record("second", archive.StatusSuccess, hour(0)))
	writes := []*write{{claim: c, batch: &b, checkpoint: true}, {claim: second, batch: &d, checkpoint: true}}
	if err := a.store.commit(t.Context(), writes, false); err != nil {
		t.Fatal(err)
	}
	if got, want := writes[0].changes.kept, (archive.Kept{Inserted: 1, Updated: 1}); got != want {
		t.Errorf("kept %+v, want %+v", got, want)
	}
	if got, want := writes[1].changes.kept, (archive.Kept{Inserted: 1}); got != want {
		t.Errorf("the second kept %+v, want %+v", got, want)
	}
	want := []string{"(r,SUCCESS,invocations_20260314)"}
	if diff := cmp.Diff(want, a.Rows(`SELECT request_id, status, tableoid::regclass FROM invocations WHERE request_id = 'r'`)); diff != "" {
		t.Error(diff)
	}
	a.CheckWindows()
}

// A new page of a claim that was lost writes nothing, and those that share its
// transaction are kept.
func TestNewPageOfALostClaim(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c, second := a.newClaim("f"), a.newClaim("g")
	s := span(0, 1)
	for _, of := range []*claim{c, second} {
		commit(t, of, page(s, noted, record("first of "+of.function.Name, archive.StatusSuccess, hour(0))))
	}
	a.Exec(`UPDATE claims SET epoch = epoch + 1 WHERE function_id = $1`, c.function.ID)
	b := page(s, later, record("lost", archive.StatusSuccess, hour(0)))
	d := page(s, later, record("kept", archive.StatusSuccess, hour(0)))
	writes := []*write{{claim: c, batch: &b, checkpoint: true}, {claim: second, batch: &d, checkpoint: true}}
	if err := a.store.commit(t.Context(), writes, false); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(writes[0].err, archive.ErrClaimLost) || writes[1].err != nil {
		t.Errorf("lost: %v, second: %v", writes[0].err, writes[1].err)
	}
	if diff := cmp.Diff([]string{"(kept)"}, a.Rows(`SELECT request_id FROM invocations WHERE request_id IN ('lost', 'kept')`)); diff != "" {
		t.Error(diff)
	}
	a.CheckWindows()
}
