package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// randomFor returns the random numbers for one purpose. Each purpose has its own
// generator, so that a draw does not depend on other draws or their order.
func randomFor(seed uint64, purpose, name string, day int64) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s\n%d", seed, purpose, name, day))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[0:8]), binary.BigEndian.Uint64(sum[8:16])))
}

// percentiles are execution times in milliseconds at each of ranks.
type percentiles [7]float64

var ranks = percentiles{0, 0.01, 0.25, 0.50, 0.75, 0.99, 1}

// at interpolates linearly between the percentiles; u is from 0 to 1. The
// conversions keep the compiler from fusing operations, which would round
// differently on some processors.
func (p percentiles) at(u float64) float64 {
	i := 1
	for i < len(ranks)-1 && u > ranks[i] {
		i++
	}
	share := float64(u-ranks[i-1]) / float64(ranks[i]-ranks[i-1])
	return p[i-1] + float64((p[i]-p[i-1])*share)
}

// behaviour says how long a function's invocations take and how they end.
type behaviour struct {
	durations percentiles
	failures  [2]int // indices into outcomes; three in four failures are the first
	fail      int    // failed invocations in a million
	discard   int    // discarded invocations in a million
}

// newBehaviour draws the share and kinds of a function's failures. Most
// functions rarely fail, a few fail often, and some discard requests.
func newBehaviour(r *rand.Rand, durations percentiles) behaviour {
	b := behaviour{durations: durations}
	for i := range b.failures {
		b.failures[i] = firstFailure + r.IntN(len(outcomes)-firstFailure)
	}
	switch n := r.IntN(10); {
	case n < 6:
		b.fail = r.IntN(5_000)
	case n < 9:
		b.fail = 5_000 + r.IntN(45_000)
	default:
		b.fail = 50_000 + r.IntN(200_000)
	}
	if r.IntN(3) == 0 {
		b.discard = 100 + r.IntN(3_000)
	}
	return b
}

// draw returns a record that starts at a second of its day.
func (b *behaviour) draw(r *rand.Rand, start int) packed {
	duration := int(math.Round(b.durations.at(r.Float64()) / 1000))
	end := outcomeSuccess
	switch n := r.IntN(1_000_000); {
	case n < b.discard:
		end, duration = outcomeDiscard, 0
	case n < b.discard+b.fail:
		end = b.failures[0]
		if n%4 == 0 {
			end = b.failures[1]
		}
	}
	wait := 0
	if r.IntN(32) == 0 {
		// A record is queued on the day on which it starts.
		wait = min(1+r.IntN(maxWait), start)
	}
	return pack(start, duration, wait, end)
}

// spread draws count seconds, with repetition, from the len(hits) seconds that
// begin at first, and appends a record for each in ascending order. hits is
// scratch memory.
func (b *behaviour) spread(r *rand.Rand, records []packed, first, count int, hits []uint32) []packed {
	clear(hits)
	for range count {
		hits[r.IntN(len(hits))]++
	}
	for second, n := range hits {
		for range n {
			records = append(records, b.draw(r, first+second))
		}
	}
	return records
}
