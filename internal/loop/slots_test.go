package loop

import "testing"

// The claims of a killed process may outlive it. So all functions that are left have equal
// shares of the slots, until it is sure that a living process has claimed a function: else a
// function at work would get the slots of a function with lost pages.
func TestClaimOfAKilledProcess(t *testing.T) {
	t.Parallel()
	r := &run{slots: newPageSlots(16), held: map[int32]bool{2: true}}
	r.slots.left.Store(4)
	r.slots.workers.Store(1)
	r.claimedElsewhere(1)
	if n := r.slots.share(); n != 4 || !r.slots.otherProcess.Load() {
		t.Errorf("claimed, and never held by this run: a share of %d slots", n)
	}
	r.claimedElsewhere(2)
	if n := r.slots.share(); n != 16 {
		t.Errorf("claimed, and held by this run before: a share of %d slots", n)
	}
}
