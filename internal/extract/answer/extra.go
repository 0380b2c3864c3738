package answer

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// ExtraFields collects the fields that no column takes, as a JSON object that
// jsonb can hold.
type ExtraFields struct{ buffer []byte }

// Limits of what is kept as JSON. What is beyond them is kept as a string of
// what was written: jsonb has limits of its own (its numbers are numeric's,
// 131,072 digits before the point and 16,383 behind it, and are written out in
// full when they are read; its depth is that of the server's stack), and one
// odd field must not cost the record.
const (
	MaxDepth    = 64
	MaxNumber   = 60      // characters
	maxExponent = 3       // digits
	MaxExtra    = 1 << 20 // bytes of all fields together
)

// Add adds a field.
func (e *ExtraFields) Add(name []byte, value jsontext.Value) {
	if e.buffer == nil {
		e.buffer = append(e.buffer, '{')
	} else {
		e.buffer = append(e.buffer, ',')
	}
	e.buffer = appendString(e.buffer, name)
	e.buffer = append(e.buffer, ':')
	if len(e.buffer)+len(value) > MaxExtra {
		e.buffer = appendString(e.buffer, value)
		return
	}
	e.buffer = AppendValue(e.buffer, value)
}

// AppendValue appends a value as JSON that jsonb can hold.
func AppendValue(b []byte, value jsontext.Value) []byte {
	if plain(value) {
		return append(b, value...)
	}
	if mended, ok := mend(value); ok {
		return append(b, mended...)
	}
	return appendString(b, value)
}

// Object is nil where nothing was added.
func (e *ExtraFields) Object() []byte {
	if e.buffer == nil {
		return nil
	}
	return append(e.buffer, '}')
}

// plain reports whether a value is surely fit for jsonb as it is: it is ASCII,
// without escapes, and within the limits.
func plain(value jsontext.Value) bool {
	depth, inText := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' || c >= 0x7f:
			return false
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return false
			}
		case c == '}' || c == ']':
			depth--
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(value) && bytes.IndexByte([]byte("+-.0123456789Ee"), value[end]) >= 0 {
				end++
			}
			if !ordinary(value[i:end]) {
				return false
			}
			i = end - 1
		}
	}
	return true
}

// Value is a value as jsonb can hold it; nil where that cannot be.
func Value(value jsontext.Value) []byte {
	mended, _ := mend(value)
	return mended
}

// mend writes a value anew with what jsonb cannot hold replaced. ok is false
// where it is too deep.
func mend(value jsontext.Value) (mended []byte, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(value), Lenient...)
	var out bytes.Buffer
	e := jsontext.NewEncoder(&out, Lenient...)
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return bytes.TrimSpace(out.Bytes()), true
		}
		if err != nil || d.StackDepth() > MaxDepth {
			return nil, false
		}
		switch token.Kind() {
		case '"':
			err = e.WriteValue(appendString(nil, []byte(token.String())))
		case '0':
			written := []byte(token.String())
			if !ordinary(written) {
				written = appendString(nil, written)
			}
			err = e.WriteValue(written)
		default:
			err = e.WriteToken(token)
		}
		if err != nil {
			return nil, false
		}
	}
}

// ordinary reports whether a number is surely within what numeric holds.
func ordinary(number jsontext.Value) bool {
	if len(number) > MaxNumber {
		return false
	}
	at := bytes.IndexAny(number, "eE")
	return at < 0 || len(bytes.TrimLeft(number[at+1:], "+-0")) <= maxExponent
}

// appendString appends a text as a JSON string that jsonb can hold.
func appendString(b, text []byte) []byte {
	// The text is valid UTF-8 by now, so that there is no error to be had.
	b, _ = jsontext.AppendQuote(b, storable(text))
	return b
}
