package functiongraph

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

// statusUnknown stands for the status of a record that has none.
const statusUnknown = "UNKNOWN"

// decodeRecord turns one element into an invocation, or says why no row can
// hold it (page: Querying Asynchronous Invocation Requests, Table 5).
func decodeRecord(o *objectReader, element jsontext.Value) (archive.Invocation, *archive.Rejected) {
	inv := archive.Invocation{Status: statusUnknown}
	if element.Kind() != '{' {
		return inv, rejected(element, time.Time{}, "not an object")
	}
	var id jsontext.Value
	var why string
	var extra extraFields
	o.members(element, func(name []byte, value jsontext.Value) {
		switch string(name) {
		case "request_id":
			id = append(id[:0], value...)
		case "status":
			if s := textOrRaw(value); s != "" {
				inv.Status = s
			}
		case "error_code":
			if s := textOrRaw(value); s != "0" {
				inv.ErrorCode = s
			}
		case "error_message":
			inv.ErrorMessage = textOrRaw(value)
		case "start_time":
			start, ok := parseTime(value)
			if !ok {
				why = "start_time is no time of the calendar"
			}
			inv.Start = start
		case "end_time":
			end, ok := parseTime(value)
			if !ok {
				// The record stands without it, and what came is kept.
				extra.add(name, value)
			}
			inv.End = end
		default:
			extra.add(name, value)
		}
	})
	inv.Extra = extra.object()
	if reason := checkID(id, &inv.RequestID); reason != "" {
		why = reason
	}
	if why != "" {
		return inv, rejected(element, inv.Start, why)
	}
	return inv, nil
}

func rejected(element jsontext.Value, start time.Time, reason string) *archive.Rejected {
	return &archive.Rejected{Reason: reason, Start: start, Payload: bytes.Clone(element)}
}

// checkID reads a request id, or says what is wrong with it. An id in which
// something would have to be replaced is not one to find a record by.
func checkID(value jsontext.Value, id *string) (reason string) {
	switch {
	case value == nil:
		return "request_id is absent"
	case value.Kind() != '"':
		return "request_id is not a string"
	}
	raw, err := jsontext.AppendUnquote(nil, value)
	switch {
	case len(raw) == 0:
		return "request_id is empty"
	case err != nil || bytes.IndexByte(raw, 0) >= 0:
		return "request_id has characters that no text can hold"
	case utf8.RuneCount(raw) > archive.MaxRequestID:
		return fmt.Sprintf("request_id is longer than %d characters", archive.MaxRequestID)
	}
	*id = string(raw)
	return ""
}

// text reads a string as PostgreSQL can hold it: NUL characters and halves of
// surrogate pairs become U+FFFD. ok is false for anything but a string.
func text(value jsontext.Value) (s string, ok bool) {
	if value.Kind() != '"' {
		return "", false
	}
	// An error means that something was replaced, which is what is wanted.
	raw, _ := jsontext.AppendUnquote(nil, value)
	s = string(raw)
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s, true
}

// textOrRaw reads a string, or anything else as it is written; null is empty.
func textOrRaw(value jsontext.Value) string {
	if s, ok := text(value); ok {
		return s
	}
	if value.Kind() == 'n' {
		return ""
	}
	return strings.ReplaceAll(strings.ToValidUTF8(string(value), "\uFFFD"), "\x00", "\uFFFD")
}

// integer reads an integer, or a string that holds one; -1 for anything else.
func integer(value jsontext.Value) int {
	s, ok := text(value)
	if !ok {
		s = string(value)
	}
	n := 0
	if s == "" || len(s) > 15 {
		return -1
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// The shapes of times: without a zone they are UTC (page: Querying
// Asynchronous Invocation Requests); the others are not excluded by any page.
// A fraction of the second may follow the seconds in each.
var timeShapes = []string{
	"2006-01-02T15:04:05",
	time.RFC3339,
	"2006-01-02T15:04:05Z0700",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04:05Z07:00",
}

// parseTime reads a time; null and empty are none, and so is year 1, which
// stands for none in more than one language. ok is false for anything that no
// timestamp of the calendar years 1 to 9999 is.
func parseTime(value jsontext.Value) (t time.Time, ok bool) {
	if value.Kind() == 'n' {
		return time.Time{}, true
	}
	s, isText := text(value)
	if !isText {
		return time.Time{}, false
	}
	if s == "" {
		return time.Time{}, true
	}
	for _, shape := range timeShapes {
		if t, err := time.ParseInLocation(shape, s, time.UTC); err == nil {
			t = t.UTC()
			return t, t.Year() >= 1 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}
