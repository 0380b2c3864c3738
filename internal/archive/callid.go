package archive

import "errors"

// CallID returns the id that the source gave to the failed call, for a ticket with the
// vendor. It is empty if the source gave none.
func CallID(err error) string {
	var called interface{ CallID() string }
	if errors.As(err, &called) {
		return called.CallID()
	}
	return ""
}

// ErrorKeys returns the keys and values of a log line about an error: its text, and the
// id of the failed call, if there is one.
func ErrorKeys(err error) []any {
	if id := CallID(err); id != "" {
		return []any{"error", err, "call_request_id", id}
	}
	return []any{"error", err}
}
