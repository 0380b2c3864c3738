package extract

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"archiver/internal/terminal"
)

// A StatusError is an answer with an error status. Its texts are safe to print
// in one line of a log or a terminal, and contain no secret of the request.
type StatusError struct {
	Status     int           // the HTTP status
	Code       string        // the source's error code, such as FSS.0404; may be empty
	Message    string        // the source's error message; may be empty
	RequestID  string        // the call's id at the source, for a support ticket; may be empty
	RetryAfter time.Duration // the pause that the source asked for, at most a minute; 0 for none
}

func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "answered %d", e.Status)
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (call %s)", e.RequestID)
	}
	return b.String()
}

// CallID returns the call's id at the source, for a support ticket.
func (e *StatusError) CallID() string { return e.RequestID }

// Throttled reports whether the source refused the call because there are too
// many. Function Compute answers 429 ResourceExhausted or 503 ResourceThrottled;
// the gateways of Alibaba Cloud answer the codes Throttling and Throttling.User
// with various statuses.
func (e *StatusError) Throttled() bool {
	return e.Status == http.StatusTooManyRequests ||
		e.Status == http.StatusServiceUnavailable && e.Code == "ResourceThrottled" ||
		e.Code == "Throttling" || strings.HasPrefix(e.Code, "Throttling.")
}

// What is read of an error answer, in bytes.
const (
	maxErrorBody    = 64 << 10
	maxErrorMessage = 300
)

// newStatusError reads an error answer and closes its body.
func newStatusError(resp *http.Response, redact *strings.Replacer, now time.Time) *StatusError {
	e := &StatusError{
		Status:     resp.StatusCode,
		RequestID:  oneLine(redact.Replace(cmp.Or(resp.Header.Get("X-Request-Id"), resp.Header.Get("X-Fc-Request-Id"), resp.Header.Get("X-Acs-Request-Id")))),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now),
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return e // without code and message
	}
	code, message, id := errorBody(body)
	e.RequestID = cmp.Or(e.RequestID, oneLine(redact.Replace(id)))
	if code != "" {
		e.Code, e.Message = oneLine(redact.Replace(code)), oneLine(redact.Replace(message))
	} else if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		e.Message = "with a body of " + oneLine(kind)
	}
	return e
}

// errorBody reads the code, the message and the call's id from the body of an
// error answer. Their field names differ:
//   - Huawei Cloud: error_code and error_msg (page: Querying Asynchronous
//     Invocation Requests, Tables 6 to 8). Its identity service: code and message
//     in an object "error".
//   - Alibaba Cloud: ErrorCode and ErrorMessage, Code and Message (as its SDK
//     reads them), or code and message.
func errorBody(body []byte) (code, message, id string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return "", "", ""
	}
	for _, key := range []string{"request_id", "requestId", "RequestId", "RequestID"} {
		id = cmp.Or(id, stringOrNumber(fields[key]))
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(fields["error"], &inner) == nil {
		fields = inner
	}
	for _, keys := range [][2]string{{"error_code", "error_msg"}, {"code", "message"}, {"ErrorCode", "ErrorMessage"}, {"Code", "Message"}} {
		if code = stringOrNumber(fields[keys[0]]); code != "" {
			return code, stringOrNumber(fields[keys[1]]), id
		}
	}
	return "", "", id
}

// stringOrNumber reads a JSON string or number; other values give "".
func stringOrNumber(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(value, &n) == nil {
		return n.String()
	}
	return ""
}

// oneLine makes a text from the source safe to print in one line, and cuts it to
// maxErrorMessage bytes.
func oneLine(s string) string {
	s = terminal.Line(s)
	if len(s) > maxErrorMessage {
		s = strings.ToValidUTF8(s[:maxErrorMessage], "") + "…"
	}
	return s
}

// maxRetryAfter is the longest pause taken from a Retry-After header. It is half
// the retry budget, so that the call is retried at least once.
const maxRetryAfter = DefaultRetryBudget / 2

// retryAfter reads a Retry-After header, which holds seconds or a date. It
// returns at most maxRetryAfter.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		// The inner min prevents an overflow of time.Duration.
		return min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}
