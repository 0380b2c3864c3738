package answer

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Lenient reads what the API may send: names twice, of which the later counts,
// and text that is not UTF-8, of which what is broken becomes U+FFFD.
var Lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// Unquote appends the text of a JSON string that has been read once already,
// bytes that are not UTF-8 and halves of surrogate pairs replaced by U+FFFD.
func Unquote(b []byte, quoted jsontext.Value) []byte {
	// An error says that something was replaced, which is what is wanted.
	b, _ = jsontext.AppendUnquote(b, quoted)
	return b
}

// A TextReader reads values as texts that PostgreSQL can hold: a NUL character
// becomes U+FFFD as well. It keeps short texts, because a page says the same
// ones over and over.
type TextReader struct {
	buffer []byte
	kept   map[string]string
}

// Limits of what is kept: a page of nothing but different messages is not to
// be kept twice.
const (
	maxKept    = 256
	maxKeptLen = 128 // bytes
)

// Text reads a string, or anything else as it is written; null is empty.
func (t *TextReader) Text(value jsontext.Value) string {
	switch value.Kind() {
	case 'n':
		return ""
	case '"':
		t.buffer = Unquote(t.buffer[:0], value)
	default:
		t.buffer = append(t.buffer[:0], value...)
	}
	if s, ok := t.kept[string(t.buffer)]; ok {
		return s
	}
	s := storable(t.buffer)
	if len(t.buffer) <= maxKeptLen && len(t.kept) < maxKept {
		if t.kept == nil {
			t.kept = make(map[string]string)
		}
		t.kept[string(t.buffer)] = s
	}
	return s
}

// storable is a text as PostgreSQL can hold it.
func storable(b []byte) string {
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if bytes.IndexByte(b, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// Integer reads an integer of at most 15 digits, or a string that holds one;
// -1 for anything else, a negative one included.
func Integer(value jsontext.Value) int {
	digits := []byte(value)
	if value.Kind() == '"' {
		digits = Unquote(nil, value)
	}
	if len(digits) == 0 || len(digits) > 15 {
		return -1
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
