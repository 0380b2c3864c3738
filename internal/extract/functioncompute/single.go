package functioncompute

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// The API finds no record by its request id, but by the beginning of its
// invocation id (page: ListStatefulAsyncInvocations, invocationIdPrefix).

// invocationID is that of the record that a query is for: as the archive has it,
// else the request id, which it is where the caller chose none.
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

// only leaves the record of this request id in a page: others may have an
// invocation id that begins alike.
func only(requestID string, page archive.Page) archive.Page {
	page.Invocations = slices.DeleteFunc(page.Invocations, func(inv archive.Invocation) bool { return inv.RequestID != requestID })
	page.Rejected = nil
	return page
}
