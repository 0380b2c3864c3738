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
	"unicode"
)

// A StatusError is an answer that is not a success. Its texts are fit for one
// line of a log or a terminal and for a column of text, and repeat no secret
// of the request.
type StatusError struct {
	Status     int           // of HTTP
	Code       string        // the source's own, such as FSS.0404; empty where the body holds none
	Message    string        // the source's own
	RequestID  string        // of the call, for a support ticket; empty where there is none
	RetryAfter time.Duration // as asked for; 0 for not asked
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

// CallID is the request's id at the source, for a support ticket.
func (e *StatusError) CallID() string { return e.RequestID }

// Throttled reports whether the answer says that calls are too many: by its
// status, or by a code of Alibaba Cloud's (Function Compute: 429
// ResourceExhausted and 503 ResourceThrottled; its gateways: Throttling and
// Throttling.User, with a status of their own).
func (e *StatusError) Throttled() bool {
	return e.Status == http.StatusTooManyRequests ||
		e.Status == http.StatusServiceUnavailable && e.Code == "ResourceThrottled" ||
		e.Code == "Throttling" || strings.HasPrefix(e.Code, "Throttling.")
}

// Limits of what is read of an answer that is not a success, in bytes.
const (
	maxErrorBody    = 64 << 10
	maxErrorMessage = 300
)

// newStatusError reads such an answer and closes its body.
func newStatusError(resp *http.Response, hide *strings.Replacer, now time.Time) *StatusError {
	e := &StatusError{
		Status:     resp.StatusCode,
		RequestID:  clip(hide.Replace(cmp.Or(resp.Header.Get("X-Request-Id"), resp.Header.Get("X-Fc-Request-Id"), resp.Header.Get("X-Acs-Request-Id")))),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now),
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return e // the status says enough
	}
	code, message, id := errorBody(body)
	e.RequestID = cmp.Or(e.RequestID, clip(hide.Replace(id)))
	if code != "" {
		e.Code, e.Message = clip(hide.Replace(code)), clip(hide.Replace(message))
	} else if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		e.Message = "with a body of " + clip(kind)
	}
	return e
}

// errorBody reads a cloud's own words for an error. The two clouds write
// error_code and error_msg (page: Querying Asynchronous Invocation Requests,
// Tables 6 to 8), or ErrorCode and ErrorMessage, or Code and Message (as the SDK
// of the other reads them), or the latter in small letters; their identity
// service puts these into an object of the name error. The id of the request is
// beside them, under names as many.
func errorBody(body []byte) (code, message, id string) {
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) != nil {
		return "", "", ""
	}
	for _, key := range []string{"request_id", "requestId", "RequestId", "RequestID"} {
		id = cmp.Or(id, word(said[key]))
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(said["error"], &inner) == nil {
		said = inner
	}
	for _, keys := range [][2]string{{"error_code", "error_msg"}, {"code", "message"}, {"ErrorCode", "ErrorMessage"}, {"Code", "Message"}} {
		if code = word(said[keys[0]]); code != "" {
			return code, word(said[keys[1]]), id
		}
	}
	return "", "", id
}

// word reads a string or a number; anything else is empty.
func word(value json.RawMessage) string {
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

// clip makes a foreign text fit for one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
	if len(s) > maxErrorMessage {
		s = strings.ToValidUTF8(s[:maxErrorMessage], "") + "…"
	}
	return s
}

// maxRetryAfter bounds how long a source may ask to be left alone: within a
// call's budget it is asked again.
const maxRetryAfter = DefaultBudget / 2

// retryAfter reads the header's two shapes: seconds, or a date. An hour is the
// most that is taken from it.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}
