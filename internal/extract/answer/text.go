package answer

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// LenientOptions accept duplicate names, of which the last counts, and invalid
// UTF-8, which becomes U+FFFD.
var LenientOptions = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// Unquote appends the text of a valid JSON string. Invalid UTF-8 and unpaired
// surrogates become U+FFFD.
func Unquote(b []byte, quoted jsontext.Value) []byte {
	// The only error of a valid string is that a character was replaced.
	b, _ = jsontext.AppendUnquote(b, quoted)
	return b
}

// A TextReader reads values as texts that PostgreSQL can store: NUL characters,
// too, become U+FFFD. A TextReader caches short texts, because the records of a
// page repeat them.
type TextReader struct {
	buffer []byte
	cache  map[string]string
}

// Limits of the cache.
const (
	maxCached    = 256
	maxCachedLen = 128 // bytes
)

// Text reads a string. null gives "", any other value its JSON text.
func (t *TextReader) Text(value jsontext.Value) string {
	switch value.Kind() {
	case 'n':
		return ""
	case '"':
		t.buffer = Unquote(t.buffer[:0], value)
	default:
		t.buffer = append(t.buffer[:0], value...)
	}
	if s, ok := t.cache[string(t.buffer)]; ok {
		return s
	}
	s := storableText(t.buffer)
	if len(t.buffer) <= maxCachedLen && len(t.cache) < maxCached {
		if t.cache == nil {
			t.cache = make(map[string]string)
		}
		t.cache[string(t.buffer)] = s
	}
	return s
}

// storableText replaces what PostgreSQL cannot store in a text: invalid UTF-8 and
// NUL characters.
func storableText(b []byte) string {
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if bytes.IndexByte(b, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// Integer reads an integer below 2^50, or a string that holds one. It returns -1
// for any other value, also for a negative number.
func Integer(value jsontext.Value) int {
	digits := []byte(value)
	if value.Kind() == '"' {
		digits = Unquote(nil, value)
	}
	n, err := strconv.ParseUint(string(digits), 10, 50)
	if err != nil {
		return -1
	}
	return int(n)
}
