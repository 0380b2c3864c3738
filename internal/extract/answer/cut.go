package answer

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxExtra is about the most that is kept of a record's fields without a column, in
// bytes. A payload alone may have 1 MB (page: Asynchronous tasks of Function Compute).
const MaxExtra = 2 << 20

// leastField is how much is kept of a field at least, in bytes, as long as MaxExtra has
// room for the field.
const leastField = 128

// cutFields shortens an object to about MaxExtra. Fields that are longer than their share
// are cut, so that short fields stay whole.
func cutFields(object jsontext.Value) []byte {
	share := MaxExtra
	for ; share > leastField; share /= 2 {
		kept := 0
		for name, value := range new(ObjectReader).Members(object) {
			kept += min(len(name)+len(value), share)
		}
		if kept <= MaxExtra {
			break
		}
	}
	var out bytes.Buffer
	e := jsontext.NewEncoder(&out, LenientOptions...)
	_ = e.WriteToken(jsontext.BeginObject) // a write to a bytes.Buffer has no error
	for name, value := range new(ObjectReader).Members(object) {
		if e.OutputOffset() > MaxExtra {
			closeAll(e, 0, len(object))
			return bytes.Clone(bytes.TrimSpace(out.Bytes())) // out has room that is not used
		}
		writeString(e, string(name), share/2)
		writeCut(e, value, share)
	}
	_ = e.WriteToken(jsontext.EndObject)
	return bytes.Clone(bytes.TrimSpace(out.Bytes()))
}

// writeCut writes the beginning of a value, with at most about limit bytes, in the
// value's shape. A string takes at most half of the room that its container has left, so
// that a long string does not push out the values after it.
func writeCut(e *jsontext.Encoder, value jsontext.Value, limit int) {
	if len(value) <= limit {
		_ = e.WriteValue(value)
		return
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(value), LenientOptions...)
	outer, end := e.StackDepth(), e.OutputOffset()+int64(limit)
	for {
		room := int(end - e.OutputOffset())
		if room <= leastField && e.StackDepth() > outer {
			closeAll(e, outer, len(value))
			return
		}
		token, err := d.ReadToken()
		switch {
		case err != nil: // the end of the value
			return
		case token.Kind() != '"':
			_ = e.WriteToken(token)
		case e.StackDepth() > outer:
			writeString(e, token.String(), room/2)
		default:
			writeString(e, token.String(), room)
		}
	}
}

// writeString writes a string of which at most limit bytes are kept, as they are or escaped.
func writeString(e *jsontext.Encoder, text string, limit int) {
	if kept := text[:min(len(text), limit)]; len(text) > limit {
		if quoted, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(kept, "")); len(quoted) > 2*limit {
			kept = kept[:limit*limit/len(quoted)]
		}
		text = strings.ToValidUTF8(kept, "") + cutMark(len(text))
	}
	_ = e.WriteToken(jsontext.String(text))
}

// closeAll ends the arrays and objects within depth outer, with a mark in each: an
// element of an array, a member of an object.
func closeAll(e *jsontext.Encoder, outer, length int) {
	mark := jsontext.String(cutMark(length))
	for e.StackDepth() > outer {
		kind, members := e.StackIndex(e.StackDepth())
		if kind == '{' && members%2 == 0 {
			_ = e.WriteToken(jsontext.String("…"))
		}
		_ = e.WriteToken(mark)
		if kind == '{' {
			_ = e.WriteToken(jsontext.EndObject)
		} else {
			_ = e.WriteToken(jsontext.EndArray)
		}
	}
}

// cutMark stands where something of length bytes was cut.
func cutMark(length int) string { return fmt.Sprintf("… (cut, %d bytes)", length) }
