package answer

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

// StatusUnknown is the source's word for a record without a status.
const StatusUnknown = "UNKNOWN"

// Status returns a record's status, and the source's word where that is another one.
// known has the status for each word of the source; case and blanks do not matter. A
// record with another word has that word as its status, if it has ended. If it has not,
// it may still change, so it is RUNNING.
func Status(known map[string]string, word string, ended bool) (status, sourceStatus string) {
	status, ok := known[word]
	if trimmed := strings.TrimSpace(word); word == "" {
		word = StatusUnknown
	} else if !ok {
		for name, s := range known {
			if strings.EqualFold(name, trimmed) {
				status, ok = s, true
			}
		}
	}
	switch {
	case !ok && ended:
		status = word
	case !ok:
		status = archive.StatusRunning
	}
	if status == word {
		return status, ""
	}
	return status, word
}

// RequestID appends the text of a request id to b, or returns the reason why it is
// not valid.
func RequestID(b []byte, name string, value jsontext.Value) (id []byte, reason string) {
	return Identifier(b, name, value, archive.MaxRequestID)
}

// Identifier appends the text of an identifier to b, or returns the reason why it
// is not valid. An identifier must be storable unchanged, because rows are found
// by it. maxLen is in characters.
func Identifier(b []byte, name string, value jsontext.Value, maxLen int) (id []byte, reason string) {
	if value.Kind() != '"' {
		return b, name + " is not a string"
	}
	id, err := jsontext.AppendUnquote(b, value)
	switch {
	case len(id) == 0:
		return id, name + " is empty"
	case err != nil || bytes.IndexByte(id, 0) >= 0:
		return id, name + " contains characters that PostgreSQL cannot store"
	case utf8.RuneCount(id) > maxLen:
		return id, fmt.Sprintf("%s is longer than %d characters", name, maxLen)
	}
	return id, ""
}
