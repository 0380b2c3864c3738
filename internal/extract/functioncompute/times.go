package functioncompute

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/extract/answer"
)

const (
	// A time is in ms since the epoch (SDK model StatefulAsyncInvocation, int64).
	// The page's sample has 1633449590: what is less than this can only be
	// seconds, for in ms it would be before 1973.
	leastMilliseconds = 100_000_000_000

	// mostMilliseconds is the end of year 9999.
	mostMilliseconds = 253_402_300_799_999

	// zeroMilliseconds is the first second of year 1, which stands for none in
	// more than one language.
	zeroMilliseconds = -62_135_596_800_000
)

// parseTime reads a time: a number, or a string that holds one. null, empty, 0
// and the first second of year 1 are none. ok is false for anything that is no
// time between 1970 and 9999, and t is zero then.
func parseTime(value jsontext.Value) (t time.Time, ok bool) {
	text := []byte(value)
	switch value.Kind() {
	case 'n':
		return time.Time{}, true
	case '"':
		if text = answer.Unquote(nil, value); len(text) == 0 {
			return time.Time{}, true
		}
	case '0':
	default:
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		// 1.6e12, or a fraction of a ms, which is cut off.
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil || math.Abs(f) > mostMilliseconds {
			return time.Time{}, false
		}
		n = int64(f)
	}
	switch {
	case n == 0, n == zeroMilliseconds, n == zeroMilliseconds/1000:
		return time.Time{}, true
	case n < 0, n > mostMilliseconds:
		return time.Time{}, false
	case n < leastMilliseconds:
		return time.Unix(n, 0).UTC(), true
	}
	return time.UnixMilli(n).UTC(), true
}
