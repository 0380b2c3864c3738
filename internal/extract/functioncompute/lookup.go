package functioncompute

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// The API cannot find a record by its request id, but by the beginning of its
// invocation id (page: ListStatefulAsyncInvocations, invocationIdPrefix).

// invocationID returns the invocation id of the record to find: the archived
// one, or else the request id. The two are equal unless the caller chose an
// invocation id.
func invocationID(q archive.Query) string {
	id := q.RequestID
	var objects answer.ObjectReader
	for field, value := range objects.Members(jsontext.Value(q.Extra)) {
		if string(field) == "invocationId" && value.Kind() == '"' {
			id = string(answer.Unquote(nil, value))
		}
	}
	return id
}

// filterRequestID keeps only the record with this request id. Other invocation
// ids may begin in the same way.
func filterRequestID(requestID string, page archive.Page) archive.Page {
	page.Invocations = slices.DeleteFunc(page.Invocations, func(inv archive.Invocation) bool { return inv.RequestID != requestID })
	page.Rejected = nil
	return page
}
