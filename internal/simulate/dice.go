package simulate

import "hash/fnv"

// dice is a hash of a seed and of what a draw is for, used as a random number.
// Unlike numbers from a stream, it does not depend on the order of draws.
type dice uint64

// The purposes of draws. Each has its own number, so that one fault does not
// change the draws of another.
const (
	drawRecord dice = iota + 1
	drawCreation
	drawOrder
	drawUnusable
	drawObject
	drawStart
	drawNUL
	drawHuge
	drawReversed
	drawReversal
	drawStatuses
	drawStatus
	drawTwice
	drawExtra
	drawCode
	drawTime
	drawFraction
	drawAnswer
	drawMarker
	drawCount
	drawRepeat
	drawLate
	drawInFlight
	drawWaiting
	drawRunning
	drawMove
	drawMoved
	drawRetried
	drawResting
	drawMoveAgain
	drawMovedAgain
	drawDrift
	drawArrivals
	drawVanishing
	drawRising
	drawSinking
	drawFunction
	drawCall
	drawShort
	drawWord
	drawChosen
	drawVersion
	drawBad
	drawKept
	drawEnvelope
	drawNone
	drawUntimed
	drawSpelling
)

// of draws for v.
func (d dice) of(v dice) dice { return dice(scramble(uint64(d) ^ scramble(uint64(v)))) }

func (d dice) text(s string) dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // a hash takes everything
	return d.of(dice(h.Sum64()))
}

// share is from 0 to below 1.
func (d dice) share() float64 { return float64(d>>11) / (1 << 53) }

// upTo is from 0 to below n, which must be at least 1. The bias towards lower
// numbers is less than n/2^64.
func (d dice) upTo(n int64) int64 { return int64(uint64(d) % uint64(n)) }

// times is a number of events, rate on average: 0.5 gives 0 or 1 equally often.
func (d dice) times(rate float64) int {
	n := int(rate)
	if d.share() < rate-float64(n) {
		n++
	}
	return n
}

// scramble is the output function of SplitMix64.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
