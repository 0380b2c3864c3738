package archive

import "errors"

// CallID is the id that the source gave the call which failed, for a ticket with
// its vendor. It is empty where there is none.
func CallID(err error) string {
	var called interface{ CallID() string }
	if errors.As(err, &called) {
		return called.CallID()
	}
	return ""
}

// ErrorKeys are how an error stands in the log: what it says, and the id of the
// call that failed, where there is one.
func ErrorKeys(err error) []any {
	if id := CallID(err); id != "" {
		return []any{"error", err, "call_request_id", id}
	}
	return []any{"error", err}
}
