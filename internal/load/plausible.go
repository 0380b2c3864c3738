package load

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"archiver/internal/archive"
)

// Keys of extra for times that are not plausible: see archive.Span.IsPlausible.
const (
	extraStart = "archiver.start_time"
	extraEnd   = "archiver.end_time"
)

// plausible returns the records of a batch, with times that are not plausible moved to
// extra: such a record has no start, and is kept with the hour that was read. PostgreSQL
// cannot hold all of these times, and each of them could make a partition of its own.
func plausible(b *archive.Batch) []archive.Invocation {
	isPlausible := func(t time.Time) bool { return t.IsZero() || b.Walk.Span.IsPlausible(t) }
	mended := b.Invocations
	for i := range b.Invocations {
		inv := b.Invocations[i]
		times := make(map[string]time.Time)
		if !isPlausible(inv.Start) {
			times[extraStart], inv.Start = inv.Start, time.Time{}
		}
		if !isPlausible(inv.End) {
			times[extraEnd], inv.End = inv.End, time.Time{}
		}
		if len(times) == 0 {
			continue
		}
		if &mended[0] == &b.Invocations[0] {
			mended = slices.Clone(mended) // the batch's own belong to the caller
		}
		inv.Extra = withTimes(inv.Extra, times)
		mended[i] = inv
	}
	return mended
}

// withTimes adds times to a JSON object.
func withTimes(extra []byte, times map[string]time.Time) []byte {
	fields := make(map[string]json.RawMessage)
	if len(extra) > 0 && json.Unmarshal(extra, &fields) != nil {
		return extra
	}
	for key, at := range times {
		fields[key] = []byte(strconv.Quote(at.UTC().Format(time.RFC3339Nano)))
	}
	with, err := json.Marshal(fields)
	if err != nil {
		return extra
	}
	return with
}
