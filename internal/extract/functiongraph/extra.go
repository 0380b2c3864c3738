package functiongraph

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// extraFields collects the fields that no column takes, as a JSON object that
// jsonb can hold.
type extraFields struct{ buffer []byte }

// Limits of what is kept as JSON. What is beyond them is kept as a string of
// what was written: jsonb has limits of its own, and one odd field must not
// cost the record.
const (
	maxDepth  = 64
	maxNumber = 60 // characters
)

func (e *extraFields) add(name []byte, value jsontext.Value) {
	if e.buffer == nil {
		e.buffer = append(e.buffer, '{')
	} else {
		e.buffer = append(e.buffer, ',')
	}
	e.buffer = appendString(e.buffer, string(name))
	e.buffer = append(e.buffer, ':')
	if plain(value) {
		e.buffer = append(e.buffer, value...)
		return
	}
	mended, ok := mend(value)
	if !ok {
		mended = appendString(nil, string(value))
	}
	e.buffer = append(e.buffer, mended...)
}

// object is nil where nothing was added.
func (e *extraFields) object() []byte {
	if e.buffer == nil {
		return nil
	}
	return append(e.buffer, '}')
}

// plain reports whether a value is surely fit for jsonb as it is: a short
// number, a literal, or a string without escapes that is plain ASCII.
func plain(value jsontext.Value) bool {
	switch value.Kind() {
	case 'n', 't', 'f':
		return true
	case '"':
		return bytes.IndexFunc(value, func(r rune) bool { return r == '\\' || r >= 0x7f }) < 0
	default:
		return false
	}
}

// mend writes a value anew with what jsonb cannot hold replaced.
func mend(value jsontext.Value) ([]byte, bool) {
	d := jsontext.NewDecoder(bytes.NewReader(value), lenient...)
	var out bytes.Buffer
	e := jsontext.NewEncoder(&out, lenient...)
	for {
		token, err := d.ReadToken()
		if err != nil {
			break // the end: the value has been read once already
		}
		if d.StackDepth() > maxDepth {
			return nil, false
		}
		switch token.Kind() {
		case '"':
			token = jsontext.String(strings.ReplaceAll(token.String(), "\x00", "\uFFFD"))
		case '0':
			if written := token.String(); !ordinary(written) {
				token = jsontext.String(written)
			} else if err := e.WriteValue(jsontext.Value(written)); err != nil {
				return nil, false
			} else {
				continue
			}
		}
		if err := e.WriteToken(token); err != nil {
			return nil, false
		}
	}
	return bytes.TrimSpace(out.Bytes()), true
}

// ordinary reports whether a number is within what numeric and a float64 hold.
func ordinary(number string) bool {
	if len(number) > maxNumber {
		return false
	}
	_, err := strconv.ParseFloat(number, 64)
	return err == nil
}

func appendString(b []byte, s string) []byte {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	// The text is valid UTF-8 by now, so that there is no error to be had.
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
