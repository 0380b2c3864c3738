package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"archiver/internal/archive"
)

// A slowClaim keeps nothing before it is let.
type slowClaim struct {
	archive.Claim
	begun, goOn chan struct{}
	err         error
	batches     []archive.Batch
}

func (c *slowClaim) Commit(_ context.Context, b archive.Batch) (archive.Kept, error) {
	c.begun <- struct{}{}
	<-c.goOn
	if c.err != nil {
		return archive.Kept{}, c.err
	}
	c.batches = append(c.batches, b)
	return archive.Kept{Inserted: len(b.Invocations)}, nil
}

// stepOf is a page with its checkpoint.
func stepOf(s archive.Span, cursor archive.Cursor, ends bool, ids ...string) step {
	b := archive.Batch{Walk: archive.Walk{Span: s, Cursor: cursor}, Rejected: []archive.Rejected{{Reason: string(cursor)}}}
	for _, id := range ids {
		b.Invocations = append(b.Invocations, archive.Invocation{RequestID: id, Status: archive.StatusSuccess})
	}
	return step{Batch: b, pages: 1, ends: ends}
}

// Pages that wait are kept in one commit, each record of them once and with the
// checkpoint of the last, but for those of another walk, and up to a size.
func TestPagesAreKeptTogether(t *testing.T) {
	t.Parallel()
	slots := newFunctionSlots(newPageSlots(16))
	claim := &slowClaim{begun: make(chan struct{}, 10), goOn: make(chan struct{})}
	k := newKeeper(t.Context(), claim, archive.Known{Function: alpha}, new(archive.Progress), newStorePatience(&Archiver{Store: new(fakeStore)}), slots, func(error) {})
	var large []string
	for i := range maxBatch {
		large = append(large, fmt.Sprint("large ", i))
	}
	for i, s := range []step{
		stepOf(span(0, 1), "1", false, "a", "b"),
		stepOf(span(0, 1), "2", false, "c"),
		stepOf(span(0, 1), "3", false, "d", "c"),
		stepOf(span(0, 1), "", true, "e"),
		stepOf(span(1, 2), "1", false, "f"),
		stepOf(span(1, 2), "2", false, large...),
		stepOf(span(1, 2), "3", false, "g"),
	} {
		if err := slots.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.steps <- s
		if i == 0 {
			<-claim.begun // so that all others wait
		}
	}
	close(claim.goOn)
	if err := k.flush(); err != nil {
		t.Fatal(err)
	}
	if len(slots.taken) != 0 {
		t.Errorf("%d slots are still taken", len(slots.taken))
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range claim.batches {
		got = append(got, fmt.Sprintf("%s %q: %d %d", b.Walk.Span, b.Walk.Cursor, len(b.Invocations), len(b.Rejected)))
	}
	want := []string{
		fmt.Sprintf("%s %q: 2 1", span(0, 1), "1"), fmt.Sprintf("%s %q: 3 3", span(0, 1), ""),
		fmt.Sprintf("%s %q: 5001 2", span(1, 2), "2"), fmt.Sprintf("%s %q: 1 1", span(1, 2), "3"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("commits %q, want %q", got, want)
	}
}

// After an error nothing more is kept, and all slots are released.
func TestKeepFails(t *testing.T) {
	t.Parallel()
	slots := newFunctionSlots(newPageSlots(4))
	claim := &slowClaim{begun: make(chan struct{}, 10), goOn: make(chan struct{}), err: errDisk}
	close(claim.goOn)
	var failed error
	k := newKeeper(t.Context(), claim, archive.Known{Function: alpha}, new(archive.Progress), newStorePatience(&Archiver{Store: new(fakeStore)}), slots, func(err error) { failed = err })
	for range 3 {
		if err := slots.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.steps <- stepOf(span(0, 1), "1", true, "a")
	}
	for range 2 {
		if err := k.flush(); !errors.Is(err, errDisk) {
			t.Errorf("flushed with %v", err)
		}
	}
	if err := k.close(); !errors.Is(err, errDisk) || !errors.Is(failed, errDisk) || len(claim.begun) != 1 || len(slots.taken) != 0 {
		t.Errorf("%v, told %v, after %d commits; %d slots are still taken", err, failed, len(claim.begun), len(slots.taken))
	}
}
