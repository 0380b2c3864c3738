package functiongraph

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// statusOf has the source's statuses (page: Querying Asynchronous Invocation Requests,
// Table 5), which are those of package archive.
var statusOf = map[string]string{
	archive.StatusWait: archive.StatusWait, archive.StatusRunning: archive.StatusRunning, archive.StatusSuccess: archive.StatusSuccess,
	archive.StatusFail: archive.StatusFail, archive.StatusDiscard: archive.StatusDiscard,
}

// A recordReader decodes elements into invocations, and reuses its memory.
type recordReader struct {
	objects answer.ObjectReader
	texts   answer.TextReader
	id      []byte
}

// read decodes one element (page: Querying Asynchronous Invocation Requests,
// Table 5), or rejects it if it cannot be stored as a row. read keeps no
// reference to the element.
func (r *recordReader) read(e answer.Element) (archive.Invocation, *archive.Rejected) {
	var inv archive.Invocation
	if rejected := e.Unreadable(); rejected != nil {
		return inv, rejected
	}
	element := e.Value
	var extra answer.ExtraFields
	startKind := answer.TimeRead // or absent
	idReason, status := "request_id is absent", ""
	for name, value := range r.objects.Members(element) {
		switch string(name) {
		case "request_id":
			r.id, idReason = answer.RequestID(r.id[:0], "request_id", value)
		case "status":
			status = r.texts.Text(value)
		case "error_code":
			inv.ErrorCode = r.errorCode(value)
		case "error_message":
			inv.ErrorMessage = r.texts.Text(value)
		case "start_time":
			if inv.Start, startKind = answer.Time(value); startKind == answer.TimeMissing {
				extra.Add(name, value)
			}
		case "end_time":
			// A record without a valid end is kept, with the value in extra.
			end, kind := answer.Time(value)
			if inv.End = end; kind != answer.TimeRead {
				extra.Add(name, value)
			}
		default:
			extra.Add(name, value)
		}
	}
	switch {
	case idReason != "":
		return inv, answer.Rejected(element, inv.Start, idReason)
	case startKind == answer.TimeInvalid:
		return inv, answer.Rejected(element, time.Time{}, "start_time is not a valid time")
	}
	inv.RequestID = string(r.id)
	inv.Status, inv.SourceStatus = answer.Status(statusOf, status, !inv.End.IsZero())
	inv.Extra = extra.Object()
	return inv, nil
}

// errorCode reads an error code. The page documents an integer, with 0 for none;
// other clients of the API expect a string, with "" for none.
func (r *recordReader) errorCode(value jsontext.Value) string {
	if value.Kind() == '0' {
		if n, err := strconv.ParseFloat(string(value), 64); err == nil && n == 0 {
			return ""
		}
	}
	if code := r.texts.Text(value); code != "0" {
		return code
	}
	return ""
}
