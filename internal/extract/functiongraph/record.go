package functiongraph

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// A recordReader turns elements into invocations, one after the other.
type recordReader struct {
	objects answer.ObjectReader
	texts   answer.TextReader
	id      []byte
}

// read turns one element into an invocation, or says why no row can hold it
// (page: Querying Asynchronous Invocation Requests, Table 5). The element is
// valid for the call only.
func (r *recordReader) read(element jsontext.Value) (archive.Invocation, *archive.Rejected) {
	inv := archive.Invocation{Status: answer.StatusUnknown}
	if rejected := answer.Unread(element); rejected != nil {
		return inv, rejected
	}
	var extra answer.ExtraFields
	start := true // is a time, or absent
	idReason := "request_id is absent"
	for name, value := range r.objects.Members(element) {
		switch string(name) {
		case "request_id":
			r.id, idReason = answer.RequestID(r.id[:0], "request_id", value)
		case "status":
			if inv.Status = r.texts.Text(value); inv.Status == "" {
				inv.Status = answer.StatusUnknown
			}
		case "error_code":
			inv.ErrorCode = r.errorCode(value)
		case "error_message":
			inv.ErrorMessage = r.texts.Text(value)
		case "start_time":
			inv.Start, start = parseTime(value)
		case "end_time":
			end, ok := parseTime(value)
			if !ok {
				// The record stands without it, and what came is kept.
				extra.Add(name, value)
			}
			inv.End = end
		default:
			extra.Add(name, value)
		}
	}
	switch {
	case idReason != "":
		return inv, answer.Rejected(element, inv.Start, idReason)
	case !start:
		return inv, answer.Rejected(element, time.Time{}, "start_time is no time of the calendar")
	}
	inv.RequestID = string(r.id)
	inv.Extra = extra.Object()
	return inv, nil
}

// errorCode reads an error code: an integer on the page, 0 for none; other
// clients of the API expect a string, empty for none.
func (r *recordReader) errorCode(value jsontext.Value) string {
	if value.Kind() == '0' && zero(value) {
		return ""
	}
	if code := r.texts.Text(value); code != "0" {
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
