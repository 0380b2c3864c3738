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

// RequestID appends a request id to b, or says what is wrong with it. An id in
// which something would have to be replaced is not one to find a record by.
func RequestID(b []byte, name string, value jsontext.Value) (id []byte, reason string) {
	if value.Kind() != '"' {
		return b, name + " is not a string"
	}
	id, err := jsontext.AppendUnquote(b, value)
	switch {
	case len(id) == 0:
		return id, name + " is empty"
	case err != nil || bytes.IndexByte(id, 0) >= 0:
		return id, name + " has characters that no text can hold"
	case utf8.RuneCount(id) > archive.MaxRequestID:
		return id, fmt.Sprintf("%s is longer than %d characters", name, archive.MaxRequestID)
	}
	return id, ""
}
