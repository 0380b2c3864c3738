package load

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"archiver/internal/archive"
)

// sharing makes four functions give a hundred of the same 300 request ids at
// the same time, time and again. say makes a record of an id.
func sharing(t *testing.T, say func(*rand.Rand, archive.Invocation) archive.Invocation) {
	t.Helper()
	a := newArchive(t)
	const workers, rounds = 4, 12
	s := hours(today.Add(21*archive.Hour), 6)
	shared := many(300, s, "r")
	var all sync.WaitGroup
	for i := range workers {
		c := a.newClaim(fmt.Sprint("f", i))
		r := rand.New(rand.NewPCG(7, uint64(i)))
		all.Go(func() {
			for range rounds {
				var records []archive.Invocation
				for _, n := range r.Perm(len(shared))[:100] {
					records = append(records, say(r, shared[n]))
				}
				if _, err := c.Commit(t.Context(), page(s, noted, records...)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	a.CheckWindows()
}

// Functions that give the same records meet in the indexes, and get out of
// each other's way again.
func TestCommitsShareRecords(t *testing.T) {
	t.Parallel()
	sharing(t, func(_ *rand.Rand, inv archive.Invocation) archive.Invocation { return inv })
}

// So do those that say something else of them each time, and so write the same
// rows again and again.
func TestCommitsDisagreeOnRecords(t *testing.T) {
	t.Parallel()
	sharing(t, func(r *rand.Rand, inv archive.Invocation) archive.Invocation {
		inv.ErrorCode = fmt.Sprint(r.IntN(3))
		return inv
	})
}
