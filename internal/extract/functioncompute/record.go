package functioncompute

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// statuses are what the source's states mean (page: ListStatefulAsyncInvocations,
// status; Dequeued exists in Function Compute 3.0). Any other word is kept as
// it is.
var statuses = map[string]string{
	"Enqueued":  archive.StatusWait,
	"Dequeued":  archive.StatusWait,
	"Running":   archive.StatusRunning,
	"Retrying":  archive.StatusRunning,
	"Stopping":  archive.StatusRunning,
	"Succeeded": archive.StatusSuccess,
	"Failed":    archive.StatusFail,
	"Stopped":   archive.StatusFail,
	"Invalid":   archive.StatusDiscard,
	"Expired":   archive.StatusDiscard,
}

// Statuses are the source's own words that can be asked for (page:
// ListStatefulAsyncInvocations, status).
var Statuses = []string{"Enqueued", "Running", "Retrying", "Stopping", "Succeeded", "Failed", "Stopped", "Invalid", "Expired"}

// statusWords are those to ask for, one after the other, for what is in a status; an
// empty one is for all there is. A status that settles later is not asked for by
// several words: what goes from Retrying to Running between two questions would
// be in the answer to neither. Nor is a word that the page does not have.
func statusWords(status string) (words []string) {
	if slices.Contains(Statuses, status) {
		return []string{status}
	}
	for _, word := range Statuses {
		if statuses[word] == status && !archive.InFlight(status) {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return []string{""}
	}
	return words
}

// A recordReader turns elements of one function's list into invocations.
type recordReader struct {
	of       name
	payloads bool // invocationPayload is kept
	objects  answer.ObjectReader
	texts    answer.TextReader
	id       []byte
}

// read turns one element into an invocation, or says why no row can hold it
// (page: ListStatefulAsyncInvocations, StatefulAsyncInvocation). The element is
// valid for the call only.
//
// The row's key is requestId. An element that has none is rejected, even where
// it has an invocationId: that is the caller's to choose, and the same record
// under its request id later would be another row.
func (r *recordReader) read(element jsontext.Value) (archive.Invocation, *archive.Rejected) {
	inv := archive.Invocation{Status: answer.StatusUnknown}
	if rejected := answer.Unread(element); rejected != nil {
		return inv, rejected
	}
	var extra answer.ExtraFields
	start := true // is a time, or absent
	idReason := "requestId is absent"
	for field, value := range r.objects.Members(element) {
		switch string(field) {
		case "requestId":
			r.id, idReason = answer.RequestID(r.id[:0], "requestId", value)
		case "status":
			word := r.texts.Text(value)
			inv.Status, inv.SourceStatus = word, ""
			if status, ok := statuses[word]; ok {
				inv.Status, inv.SourceStatus = status, word
			} else if word == "" {
				inv.Status = answer.StatusUnknown
			}
		case "invocationErrorMessage":
			inv.ErrorMessage = r.texts.Text(value)
		case "startedTime":
			inv.Start, start = parseTime(value)
		case "endTime":
			end, ok := parseTime(value)
			if !ok {
				// The record stands without it, and what came is kept.
				extra.Add(field, value)
			}
			inv.End = end
		case "invocationPayload":
			if r.payloads {
				extra.Add(field, value)
			}
		case "serviceName":
			r.other(&extra, field, value, r.of.service)
		case "functionName":
			r.other(&extra, field, value, r.of.function)
		default:
			extra.Add(field, value)
		}
	}
	switch {
	case idReason != "":
		return inv, answer.Rejected(element, inv.Start, idReason)
	case !start:
		return inv, answer.Rejected(element, time.Time{}, "startedTime is no time of the calendar")
	}
	inv.RequestID = string(r.id)
	inv.Extra = extra.Object()
	return inv, nil
}

// other adds a field unless it says what the function's row says.
func (r *recordReader) other(extra *answer.ExtraFields, field []byte, value jsontext.Value, known string) {
	if value.Kind() != '"' || r.texts.Text(value) != known {
		extra.Add(field, value)
	}
}
