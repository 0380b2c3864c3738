package functioncompute

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/extract/answer"
)

const (
	// A time is in milliseconds since the epoch (SDK model
	// StatefulAsyncInvocation, int64). The page's sample has 1633449590: a
	// smaller number than minMilliseconds is in seconds, because in
	// milliseconds it would be before 1973.
	minMilliseconds = 100_000_000_000

	// maxMilliseconds is the end of year 9999.
	maxMilliseconds = 253_402_300_799_999

	// zeroMilliseconds is the first second of year 1, the zero time of several
	// languages.
	zeroMilliseconds = -62_135_596_800_000
)

// parseTime reads a number, or a string that holds one. null, "", 0 and the
// first second of year 1 mean no time: t is zero and ok is true. For any other
// value that is not between 1970 and 9999, t is zero and ok is false.
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
	// A float64 holds all milliseconds exactly.
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(math.Abs(f) <= maxMilliseconds) {
		return time.Time{}, false
	}
	n := int64(f) // without a fraction of a millisecond
	switch {
	case n == 0, n == zeroMilliseconds, n == zeroMilliseconds/1000:
		return time.Time{}, true
	case n < 0:
		return time.Time{}, false
	case n < minMilliseconds:
		return time.Unix(n, 0).UTC(), true
	}
	return time.UnixMilli(n).UTC(), true
}
