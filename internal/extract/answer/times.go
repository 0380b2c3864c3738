package answer

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A TimeKind says what a value is that a source sent as a time.
type TimeKind int

// The kinds of times. Only the first may be kept as a time alone; the value of another
// kind is kept as well, as it came.
const (
	TimeRead    TimeKind = iota // a time, or no time: null or ""
	TimeMissing                 // a time that stands for "none": see isSentinel
	TimeInvalid                 // no time in the years 1 to 9999 UTC
)

// Time reads a time. The API of FunctionGraph documents YYYY-MM-DDTHH:mm:ss (page:
// Querying Asynchronous Invocation Requests), which is read as UTC. Time also accepts a
// zone, an offset, a fraction of a second of any length, lower case, and a space in
// place of the T, as RFC 3339 allows. Digits beyond a nanosecond are dropped. As in
// ISO 8601, hour 24 is the next midnight, and second 60 the leap second.
//
// t is in UTC, and zero unless the value is such a time.
func Time(value jsontext.Value) (t time.Time, kind TimeKind) {
	if value.Kind() == 'n' {
		return time.Time{}, TimeRead
	}
	if value.Kind() == '"' {
		var buffer [64]byte
		if t, kind = parseTime(Unquote(buffer[:0], value)); kind != TimeInvalid {
			return t, kind
		}
	}
	if n, ok := number(value); ok {
		if _, kind := unixTime(n); kind == TimeMissing {
			return time.Time{}, TimeMissing
		}
	}
	return time.Time{}, TimeInvalid
}

func parseTime(text []byte) (t time.Time, kind TimeKind) {
	switch {
	case len(text) == 0:
		return time.Time{}, TimeRead
	case bytes.HasPrefix(text, []byte("0000-")): // a date that has no month 0, for example
		return time.Time{}, TimeMissing
	}
	date := len(text) == len("2006-01-02")
	if date {
		text = append(text, "T00:00:00"...)
	}
	text, added := toRFC3339(text)
	if t.UnmarshalText(text) != nil || added == 24*time.Hour && t.Nanosecond() != 0 {
		return time.Time{}, TimeInvalid
	}
	t = t.Add(added).UTC()
	switch {
	case isSentinel(t):
		return time.Time{}, TimeMissing
	case date:
		return time.Time{}, TimeInvalid
	}
	return t, TimeRead
}

// UnixTime reads a number of milliseconds since the epoch, or a string that holds one
// (SDK model StatefulAsyncInvocation of Function Compute, int64). A small number is in
// seconds, as in the sample of the page ListStatefulAsyncInvocations, which has
// 1633449590. Any other value is read by Time.
func UnixTime(value jsontext.Value) (t time.Time, kind TimeKind) {
	if t, kind = Time(value); kind != TimeInvalid {
		return t, kind
	}
	if n, ok := number(value); ok {
		return unixTime(n)
	}
	return time.Time{}, TimeInvalid
}

const (
	// As milliseconds, a smaller number would be before 1973.
	minMilliseconds = 100_000_000_000

	maxMilliseconds = 253_402_300_799_999 // the end of year 9999
)

func unixTime(n float64) (t time.Time, kind TimeKind) {
	if !(math.Abs(n) <= maxMilliseconds) {
		return time.Time{}, TimeInvalid
	}
	// A float64 holds all milliseconds exactly. A fraction of one is dropped.
	t, seconds := time.UnixMilli(int64(n)).UTC(), time.Unix(int64(n), 0).UTC()
	if math.Abs(n) < minMilliseconds {
		t = seconds
	}
	switch {
	case n <= -1 && t.Year() > 1:
		return time.Time{}, TimeInvalid
	case isSentinel(t), isSentinel(seconds) && seconds.Year() == 9999:
		return time.Time{}, TimeMissing
	}
	return t, TimeRead
}

// number reads a number, or a string that holds one.
func number(value jsontext.Value) (n float64, ok bool) {
	text := []byte(value)
	switch value.Kind() {
	case '"':
		text = Unquote(nil, value)
	case '0':
	default:
		return 0, false
	}
	n, err := strconv.ParseFloat(string(text), 64)
	return n, !errors.Is(err, strconv.ErrSyntax)
}

// isSentinel reports whether languages and databases use the time to say that there is
// none: the epoch, any time in year 1 or before, the last day of year 9999. Each in any
// zone.
func isSentinel(t time.Time) bool {
	const (
		zones = 24 * 60 * 60 // seconds, more than between any two zones' clocks
		year2 = -62_104_060_800
		last  = 253_402_214_400 // the last day of year 9999
	)
	seconds := t.Unix()
	return seconds > -zones && seconds < zones || seconds < year2 || seconds >= last-zones
}

// toRFC3339 rewrites a time that Time accepts in the strict form that
// time.Time.UnmarshalText reads. added is what the strict form cannot express:
// the day of hour 24, or the leap second. strict is nil, or stays a text that
// UnmarshalText refuses, if text is not such a time. UnmarshalText accepts an
// hour of one digit and zones up to +24:60, so toRFC3339 refuses them.
func toRFC3339(text []byte) (strict []byte, added time.Duration) {
	const length = len("2006-01-02T15:04:05")
	if len(text) < length || text[13] != ':' {
		return nil, 0
	}
	if text[10] == ' ' || text[10] == 't' {
		text[10] = 'T'
	}
	switch clock := text[11:length]; {
	case string(clock) == "24:00:00":
		copy(clock, "00")
		added = 24 * time.Hour
	case string(clock[2:]) == ":59:60":
		copy(clock[6:], "59")
		added = time.Second
	}
	if len(text) > length && text[length] == ',' {
		text[length] = '.'
	}
	switch zone := bytes.TrimLeft(text[length:], ".0123456789"); {
	case len(zone) == 0:
		text = append(text, 'Z')
	case string(zone) == "z":
		zone[0] = 'Z'
	case len(zone) == len("+08"):
		text = append(text, ":00"...)
	case len(zone) == len("+0800") && zone[3] != ':':
		text = slices.Insert(text, len(text)-2, ':')
	}
	zone := text[len(text)-len("00:00"):]
	if zone[4] != 'Z' && (string(zone[:2]) > "23" || zone[3] > '5') {
		return nil, 0
	}
	return text, added
}
