package answer

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

// MaxElement is the length in bytes of the largest element that is taken for a
// record. Sixteen messages of a megabyte are less; and within it nothing grows
// beyond what a column of text or jsonb holds (256 MB), whatever it is made of.
const MaxElement = 16 << 20

// StatusUnknown stands for the status of a record that has none.
const StatusUnknown = "UNKNOWN"

// Rejected is an element that no row can hold.
func Rejected(element jsontext.Value, start time.Time, reason string) *archive.Rejected {
	return &archive.Rejected{Reason: reason, Start: start, Payload: bytes.Clone(element)}
}

// Unread says why an element is not read at all; nil for one that is.
func Unread(element jsontext.Value) *archive.Rejected {
	switch {
	case element.Kind() != '{':
		return Rejected(element, time.Time{}, "not an object")
	case len(element) > MaxElement:
		return Rejected(element, time.Time{}, fmt.Sprintf("longer than %d bytes", MaxElement))
	}
	return nil
}

// RequestID appends a request id to b, or says what is wrong with it.
func RequestID(b []byte, name string, value jsontext.Value) (id []byte, reason string) {
	return Key(b, name, value, archive.MaxRequestID)
}

// Key appends to b what something is to be found by, of so many characters at
// most, or says what is wrong with it: it is none where something would have to
// be replaced in it.
func Key(b []byte, name string, value jsontext.Value, most int) (key []byte, reason string) {
	if value.Kind() != '"' {
		return b, name + " is not a string"
	}
	id, err := jsontext.AppendUnquote(b, value)
	switch {
	case len(id) == 0:
		return id, name + " is empty"
	case err != nil || bytes.IndexByte(id, 0) >= 0:
		return id, name + " has characters that no text can hold"
	case utf8.RuneCount(id) > most:
		return id, fmt.Sprintf("%s is longer than %d characters", name, most)
	}
	return id, ""
}
