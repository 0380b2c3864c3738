package loop

import (
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
)

// The claims of a killed process may outlive it for a moment. Until then all functions
// that are left have equal shares of the slots, so that a function at work does not get
// those of a function with lost pages.
func TestClaimOfAKilledProcess(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(midnight)
	r := &run{Archiver: &Archiver{Clock: clock}, began: clock.Now(), slots: newPageSlots(16)}
	r.slots.left.Store(4)
	r.slots.workers.Store(1)
	r.claimedElsewhere()
	if n := r.slots.share(); n != 4 || !r.slots.otherProcess.Load() {
		t.Errorf("right after the beginning: a share of %d slots", n)
	}
	clock.Advance(time.Second)
	r.claimedElsewhere()
	if n := r.slots.share(); n != 16 {
		t.Errorf("a second later: a share of %d slots", n)
	}
}
