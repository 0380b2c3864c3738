package functiongraph

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

const (
	// statusUnknown stands for the status of a record that has none.
	statusUnknown = "UNKNOWN"

	// maxElement is the length in bytes of the largest element that is taken
	// for a record. Sixteen messages of a megabyte are less; and within it
	// nothing grows beyond what a column of text or jsonb holds (256 MB),
	// whatever it is made of.
	maxElement = 16 << 20
)

// A recordReader turns elements into invocations, one after the other.
type recordReader struct {
	objects objectReader
	texts   textReader
	id      []byte
}

// read turns one element into an invocation, or says why no row can hold it
// (page: Querying Asynchronous Invocation Requests, Table 5). The element is
// valid for the call only.
func (r *recordReader) read(element jsontext.Value) (archive.Invocation, *archive.Rejected) {
	inv := archive.Invocation{Status: statusUnknown}
	switch {
	case element.Kind() != '{':
		return inv, rejected(element, time.Time{}, "not an object")
	case len(element) > maxElement:
		return inv, rejected(element, time.Time{}, fmt.Sprintf("longer than %d bytes", maxElement))
	}
	var extra extraFields
	start := true // is a time, or absent
	idReason := "request_id is absent"
	r.objects.open(element)
	for {
		name, value, ok := r.objects.next()
		if !ok {
			break
		}
		switch string(name) {
		case "request_id":
			idReason = r.readID(value)
		case "status":
			if inv.Status = r.texts.text(value); inv.Status == "" {
				inv.Status = statusUnknown
			}
		case "error_code":
			inv.ErrorCode = r.errorCode(value)
		case "error_message":
			inv.ErrorMessage = r.texts.text(value)
		case "start_time":
			inv.Start, start = parseTime(value)
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
	}
	switch {
	case idReason != "":
		return inv, rejected(element, inv.Start, idReason)
	case !start:
		return inv, rejected(element, time.Time{}, "start_time is no time of the calendar")
	}
	inv.RequestID = string(r.id)
	inv.Extra = extra.object()
	return inv, nil
}

func rejected(element jsontext.Value, start time.Time, reason string) *archive.Rejected {
	return &archive.Rejected{Reason: reason, Start: start, Payload: bytes.Clone(element)}
}

// readID reads a request id, or says what is wrong with it. An id in which
// something would have to be replaced is not one to find a record by.
func (r *recordReader) readID(value jsontext.Value) (reason string) {
	if value.Kind() != '"' {
		return "request_id is not a string"
	}
	var err error
	r.id, err = jsontext.AppendUnquote(r.id[:0], value)
	switch {
	case len(r.id) == 0:
		return "request_id is empty"
	case err != nil || bytes.IndexByte(r.id, 0) >= 0:
		return "request_id has characters that no text can hold"
	case utf8.RuneCount(r.id) > archive.MaxRequestID:
		return fmt.Sprintf("request_id is longer than %d characters", archive.MaxRequestID)
	}
	return ""
}

// errorCode reads an error code: an integer on the page, 0 for none; other
// clients of the API expect a string, empty for none.
func (r *recordReader) errorCode(value jsontext.Value) string {
	if value.Kind() == '0' && zero(value) {
		return ""
	}
	if code := r.texts.text(value); code != "0" {
		return code
	}
	return ""
}

// zero reports whether a number is 0, however it is written: no digit before
// an exponent is another.
func zero(number jsontext.Value) bool {
	for _, c := range number {
		switch {
		case c == 'e' || c == 'E':
			return true
		case c >= '1' && c <= '9':
			return false
		}
	}
	return true
}
