package simulate

import "hash/fnv"

// dice are a number drawn from all that it depends on: a seed, what is drawn,
// and what it is drawn for. The same always give the same, in whatever order
// they are asked, which a stream of random numbers would not.
type dice uint64

// What is drawn. Each purpose has its own number, so that one switch does not
// change what another one draws.
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
)

// of draws again, for v.
func (d dice) of(v dice) dice { return dice(scramble(uint64(d) ^ scramble(uint64(v)))) }

func (d dice) text(s string) dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // a hash takes everything
	return d.of(dice(h.Sum64()))
}

// share is from 0 to below 1.
func (d dice) share() float64 { return float64(d>>11) / (1 << 53) }

// upTo is from 0 to below n, which is at least 1. It prefers the lower numbers
// by less than n in 2^64.
func (d dice) upTo(n int64) int64 { return int64(uint64(d) % uint64(n)) }

// times is rate on average, one more or less: 0.5 is every other time.
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
