package functiongraph

import (
	"bytes"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/extract/answer"
)

// parseTime reads a time. The API documents YYYY-MM-DDTHH:mm:ss (page: Querying
// Asynchronous Invocation Requests), which is read as UTC. parseTime also accepts
// a zone, an offset, a fraction of a second of any length, lower case, and a
// space in place of the T, as RFC 3339 allows. Digits beyond a nanosecond are
// dropped. As in ISO 8601, hour 24 is the next midnight, and second 60 the leap
// second.
//
// null and "" mean no time, and so does the first second of year 1, the zero
// time of several languages: t is zero and ok is true. For a value that is not a
// valid time in the years 1 to 9999 UTC, t is zero and ok is false.
func parseTime(value jsontext.Value) (t time.Time, ok bool) {
	switch value.Kind() {
	case 'n':
		return time.Time{}, true
	case '"':
	default:
		return time.Time{}, false
	}
	var buffer [64]byte
	text := answer.Unquote(buffer[:0], value)
	if len(text) == 0 {
		return time.Time{}, true
	}
	text, added := toRFC3339(text)
	var local time.Time
	if local.UnmarshalText(text) != nil || added == 24*time.Hour && local.Nanosecond() != 0 {
		return time.Time{}, false
	}
	t = local.Add(added).UTC()
	_, offset := local.Zone()
	if t.IsZero() || t.Add(time.Duration(offset)*time.Second).IsZero() {
		return time.Time{}, true
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// toRFC3339 rewrites a time that parseTime accepts in the strict form that
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
