package functioncompute

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// statusOf maps the source's statuses (page: ListStatefulAsyncInvocations,
// status; Dequeued exists in Function Compute 3.0).
var statusOf = map[string]string{
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

// Statuses are the source's statuses that the API can filter by (page:
// ListStatefulAsyncInvocations, status).
var Statuses = []string{"Enqueued", "Running", "Retrying", "Stopping", "Succeeded", "Failed", "Stopped", "Invalid", "Expired"}

// queryStatuses returns the source's statuses to query for a status of the
// archive, one after the other. "" means all statuses. A status that can still
// change is not split into several queries: a record that goes from Retrying to
// Running between two queries would be in neither answer. For such a status,
// and for one that the API cannot filter by, one query reads all statuses.
func queryStatuses(status string) (statuses []string) {
	if slices.Contains(Statuses, status) {
		return []string{status}
	}
	for _, s := range Statuses {
		if statusOf[s] == status && !archive.InFlight(status) {
			statuses = append(statuses, s)
		}
	}
	if len(statuses) == 0 {
		return []string{""}
	}
	return statuses
}

// A recordReader decodes the elements of one function's list, and reuses its
// memory.
type recordReader struct {
	function    functionName
	keepPayload bool
	qualified   bool // a record has a qualifier other than LATEST
	objects     answer.ObjectReader
	texts       answer.TextReader
	id          []byte
}

// read decodes one element (page: ListStatefulAsyncInvocations,
// StatefulAsyncInvocation), or rejects it if it cannot be stored as a row. read
// keeps no reference to the element.
//
// The row's key is requestId. An element without one is rejected, even if it
// has an invocationId: the caller chooses the invocationId, and the same record
// with its requestId would later be another row.
func (r *recordReader) read(e answer.Element) (archive.Invocation, *archive.Rejected) {
	var inv archive.Invocation
	if rejected := e.Unreadable(); rejected != nil {
		return inv, rejected
	}
	element := e.Value
	var extra answer.ExtraFields
	startKind := answer.TimeRead // or absent
	idReason, status := "requestId is absent", ""
	for field, value := range r.objects.Members(element) {
		switch string(field) {
		case "requestId":
			r.id, idReason = answer.RequestID(r.id[:0], "requestId", value)
		case "status":
			status = r.texts.Text(value)
		case "invocationErrorMessage":
			inv.ErrorMessage = r.texts.Text(value)
		case "startedTime":
			if inv.Start, startKind = answer.UnixTime(value); startKind == answer.TimeMissing {
				extra.Add(field, value)
			}
		case "endTime":
			// A record without a valid end is kept, with the value in extra.
			end, kind := answer.UnixTime(value)
			if inv.End = end; kind != answer.TimeRead {
				extra.Add(field, value)
			}
		case "invocationPayload":
			if r.keepPayload {
				extra.Add(field, value)
			}
		case "qualifier":
			if text := r.texts.Text(value); text != "" && text != latest {
				r.qualified = true
			}
			extra.Add(field, value)
		case "serviceName":
			r.addUnlessKnown(&extra, field, value, r.function.service)
		case "functionName":
			r.addUnlessKnown(&extra, field, value, r.function.function)
		default:
			extra.Add(field, value)
		}
	}
	switch {
	case idReason != "":
		return inv, answer.Rejected(element, inv.Start, idReason)
	case startKind == answer.TimeInvalid:
		return inv, answer.Rejected(element, time.Time{}, "startedTime is not a valid time")
	}
	inv.RequestID = string(r.id)
	inv.Status, inv.SourceStatus = answer.Status(statusOf, status, !inv.End.IsZero())
	inv.Extra = extra.Object()
	return inv, nil
}

// addUnlessKnown adds a field, unless it repeats a value of the function's row.
func (r *recordReader) addUnlessKnown(extra *answer.ExtraFields, field []byte, value jsontext.Value, known string) {
	if value.Kind() != '"' || r.texts.Text(value) != known {
		extra.Add(field, value)
	}
}
