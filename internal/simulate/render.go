package simulate

import (
	"strconv"
	"strings"
	"time"
)

func (f *faulter) render(q query, p faultyPage) []byte {
	d := f.question(q)
	b := f.beginAnswer(p.items, f.appendItem)
	switch choose(f.count, d.of(drawCount), "total", "absent", "null", "page") {
	case "total":
		b = strconv.AppendInt(append(b, `,"count":`...), int64(p.count), 10)
	case "null":
		b = append(b, `,"count":null`...)
	case "page":
		b = strconv.AppendInt(append(b, `,"count":`...), int64(len(p.items)), 10)
	}
	return append(f.appendMarker(b, q, p, d), '}')
}

// beginAnswer returns the beginning of an answer: the list of its records.
func (f *faulter) beginAnswer(items []item, appendItem func([]byte, *item) []byte) []byte {
	if len(items) == 0 && f.nullList {
		return []byte(`{"invocations":null`)
	}
	b := []byte(`{"invocations":[`)
	for n := range items {
		if n > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, &items[n])
	}
	return append(b, ']')
}

func (f *faulter) appendMarker(b []byte, q query, p faultyPage, d dice) []byte {
	marker, end := p.next, ""
	switch how := choose(f.marker, d.of(drawMarker), "int", "string", "absent", "zero", "total", "same", "null"); {
	case how == "absent", p.last && (how == "int" || how == "string"):
		return b
	case how == "string":
		end = `"`
	case !p.last:
	case how == "zero":
		marker = 0
	case how == "total":
		marker = p.count
	case how == "same":
		marker = q.Marker
	case how == "null":
		return append(b, `,"next_marker":null`...)
	}
	b = strconv.AppendInt(append(b, `,"next_marker":`+end...), int64(marker), 10)
	return append(b, end...)
}

// choose draws one of the words if how is "mixed".
func choose(how string, d dice, words ...string) string {
	if how != "mixed" {
		return how
	}
	return words[d.upTo(int64(len(words)))]
}

// appendItem appends a record, its fields in the order of the page's sample.
func (f *faulter) appendItem(b []byte, i *item) []byte {
	id := f.data.RequestID(i.Position)
	if i.unusable == unusableObject {
		return appendNonObject(b, id, i.draw)
	}
	b = i.unusable.appendID(b, id)
	b = append(b, `","status":`+quote(f.spell(i, string(i.sentStatus)))+`,"error_message":`...)
	raw, _ := f.texts(i)
	b = append(b, raw...)
	none, _ := f.sentinel(i)
	switch {
	case i.unusable == unusableStart:
		b = append(b, `,"start_time":`+quote(impossibleStart(i.draw))...)
	case i.noStart:
		b = appendNone(b, `,"start_time":`, none)
	default:
		b = append(f.appendTime(append(b, `,"start_time":"`...), i, i.start), '"')
	}
	if i.noEnd {
		b = appendNone(b, `,"end_time":`, none)
	} else {
		b = append(f.appendTime(append(b, `,"end_time":"`...), i, i.end), '"')
	}
	b = f.appendCode(b, i)
	if extras := f.extras(i); extras != "" {
		b = append(b, ","+extras...)
	}
	return append(b, '}')
}

func (f *faulter) appendCode(b []byte, i *item) []byte {
	code := strconv.Itoa(i.Code)
	switch choose(f.code, i.draw.of(drawCode), "int", "string", "empty", "absent") {
	case "string":
		code = quote(code)
	case "empty":
		if code = quote(code); i.Code == 0 {
			code = `""`
		}
	case "absent":
		if i.Code == 0 {
			return b
		}
	}
	return append(b, `,"error_code":`+code...)
}

// appendTime appends one of a record's times, given in seconds since the epoch.
func (f *faulter) appendTime(b []byte, i *item, unix int64) []byte {
	t := time.Unix(unix, f.fraction(i)*1000).UTC()
	switch f.shape(i) {
	case "z":
		return t.AppendFormat(b, timeLayout+"Z")
	case "offset":
		offsets := []int{8 * 60 * 60, -(3*60 + 30) * 60, 0}
		zone := time.FixedZone("", offsets[i.draw.of(drawTime).of(1).upTo(int64(len(offsets)))])
		return t.In(zone).AppendFormat(b, timeLayout+"-07:00")
	case "fraction":
		return t.AppendFormat(b, timeLayout+".000000")
	}
	return t.AppendFormat(b, timeLayout)
}

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
	list := []string{"2026-02-30T10:00:00", "2026-13-01T00:00:00", "2026-00-10T00:00:00", "2026-03-14T25:61:00", "yesterday", "-"}
	return list[d.of(drawStart).upTo(int64(len(list)))]
}
