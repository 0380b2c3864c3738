package answer

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ExtraFields collects the fields that have no column, as a JSON object that a
// jsonb column can store.
type ExtraFields struct{ buffer []byte }

// Limits of JSON values. A value beyond a limit is stored as a string of its JSON
// text, so that one odd field does not cost the whole record. jsonb itself has
// limits: numbers have 131,072 digits before the point and 16,383 after it, and
// PostgreSQL prints all of these digits; the depth is limited by the server's
// stack.
const (
	MaxDepth    = 64
	MaxNumber   = 60 // characters
	maxExponent = 3  // digits
)

// Add adds a field. A name that was added before is added again; jsonb keeps the
// last value.
func (e *ExtraFields) Add(name []byte, value jsontext.Value) {
	if e.buffer == nil {
		e.buffer = append(e.buffer, '{')
	} else {
		e.buffer = append(e.buffer, ',')
	}
	e.buffer = appendString(slices.Grow(e.buffer, len(name)+len(value)+len(`"":`)), name)
	e.buffer = append(e.buffer, ':')
	e.buffer = AppendValue(e.buffer, value)
}

// AppendValue appends a value as JSON that jsonb can store.
func AppendValue(b []byte, value jsontext.Value) []byte {
	if isPlain(value) {
		return append(b, value...)
	}
	switch value.Kind() {
	case '"':
		return appendString(b, Unquote(nil, value))
	case '0':
		return appendString(b, value)
	}
	if sanitized, ok := sanitize(value); ok {
		return append(b, sanitized...)
	}
	return appendString(b, value)
}

// Object returns the fields as a JSON object, or nil if there are none. If they are
// longer than MaxExtra, the longest ones are cut.
func (e *ExtraFields) Object() []byte {
	if e.buffer == nil {
		return nil
	}
	if e.buffer = append(e.buffer, '}'); len(e.buffer) > MaxExtra {
		return cutFields(e.buffer)
	}
	return e.buffer
}

// isPlain reports whether jsonb can store a value unchanged: the value is ASCII,
// has no escapes, and is within the limits. isPlain is faster than sanitize.
func isPlain(value jsontext.Value) bool {
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
			if !isOrdinary(value[i:end]) {
				return false
			}
			i = end - 1
		}
	}
	return true
}

// StorableValue returns a value as JSON that jsonb can store, or nil if the value
// is too deep.
func StorableValue(value jsontext.Value) []byte {
	sanitized, _ := sanitize(value)
	return sanitized
}

// sanitize rewrites a value and replaces what jsonb cannot store. ok is false if
// the value is too deep.
func sanitize(value jsontext.Value) (sanitized []byte, ok bool) {
	d := jsontext.NewDecoder(bytes.NewBuffer(value), LenientOptions...)
	var out bytes.Buffer
	out.Grow(len(value))
	e := jsontext.NewEncoder(&out, LenientOptions...)
	for {
		if d.PeekKind() == '"' {
			quoted, err := d.ReadValue()
			if err == nil {
				err = e.WriteValue(appendString(make([]byte, 0, len(quoted)), Unquote(nil, quoted)))
			}
			if err != nil {
				return nil, false
			}
			continue
		}
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return bytes.TrimSpace(out.Bytes()), true
		}
		if err != nil || d.StackDepth() > MaxDepth {
			return nil, false
		}
		switch token.Kind() {
		case '0':
			number := []byte(token.String())
			if !isOrdinary(number) {
				number = appendString(nil, number)
			}
			err = e.WriteValue(number)
		default:
			err = e.WriteToken(token)
		}
		if err != nil {
			return nil, false
		}
	}
}

// isOrdinary reports whether a number is short enough for PostgreSQL's numeric.
func isOrdinary(number jsontext.Value) bool {
	if len(number) > MaxNumber {
		return false
	}
	at := bytes.IndexAny(number, "eE")
	return at < 0 || len(bytes.TrimLeft(number[at+1:], "+-0")) <= maxExponent
}

// appendString appends a text as a JSON string that jsonb can store.
func appendString(b, text []byte) []byte {
	// Valid UTF-8 gives no error.
	if utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 {
		b, _ = jsontext.AppendQuote(b, text)
	} else {
		b, _ = jsontext.AppendQuote(b, storableText(text))
	}
	return b
}
