package simulate

import "strings"

// unusable is why a record cannot be stored in a row. Each such record has its id
// in some place, so that they differ and can be counted.
type unusable int

const (
	unusableAbsent unusable = iota + 1
	unusableEmpty
	unusableLong
	unusableNumber
	unusableStart
	unusableObject

	unusableKinds = 6
)

// appendID appends the beginning of a record's object, up to but not including the
// quote that ends its request id.
func (u unusable) appendID(b []byte, id string) []byte {
	switch u {
	case unusableAbsent:
		return append(b, `{"log_id":"`+id...)
	case unusableEmpty:
		return append(b, `{"log_id":"`+id+`","request_id":"`...)
	case unusableLong:
		return append(b, `{"request_id":"`+id+"-"+id...)
	case unusableNumber:
		return append(b, `{"request_id":`+digits(id)+`,"log_id":"`+id...)
	}
	return append(b, `{"request_id":"`+id...)
}

// digits returns the digits of an id with a 1 in front, which is a JSON number.
func digits(id string) string {
	return "1" + strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, id)
}

// appendNonObject appends a JSON value that is not an object.
func appendNonObject(b []byte, id string, d dice) []byte {
	switch d.of(drawObject).upTo(3) {
	case 0:
		return append(b, `"`+id+`"`...)
	case 1:
		return append(b, `["`+id+`",null]`...)
	}
	return append(b, digits(id)...)
}

// impossibleStart is a text that is not a valid time.
func impossibleStart(d dice) string {
	list := []string{"2026-02-30T10:00:00", "2026-13-01T00:00:00", "0000-00-00T00:00:00", "2026-03-14T25:61:00", "yesterday", "-"}
	return list[d.of(drawStart).upTo(int64(len(list)))]
}
