package extract

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"archiver/internal/extract/answer"
	"archiver/internal/terminal"
)

// A StatusError is an answer with an error status, or with an error in the envelope of
// a success status. Its texts are safe to print in one line of a log or a terminal, and
// contain no secret of the request.
type StatusError struct {
	Status     int           // the HTTP status; of an envelope the status that its code stands for
	Code       string        // the source's error code, such as FSS.0404; may be empty
	Message    string        // the source's error message; may be empty
	RequestID  string        // the call's id at the source, for a support ticket; may be empty
	RetryAfter time.Duration // the pause that the source asked for, at most an hour; 0 for none

	answered int          // the HTTP status; it differs from Status if the error is in an envelope
	limits   []namedLimit // the limits that the answer names
}

func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "answered %d", cmp.Or(e.answered, e.Status))
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

// What is read of an error answer, in bytes.
const (
	maxErrorBody    = 64 << 10
	maxErrorMessage = 300
)

// newStatusError reads an error answer and closes its body.
func newStatusError(resp *http.Response, redact *strings.Replacer, now time.Time) *StatusError {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		body = nil // an error without code and message
	}
	read := answer.ReadError(bytes.NewReader(body))
	limits := namedLimits(cmp.Or(read.Message, string(body)))
	if read.Code == "" {
		if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
			read.Message = "with a body of " + kind
		}
	}
	e := statusError(resp, resp.StatusCode, read, redact, now)
	e.limits = limits
	return e
}

// newEnvelopeError makes an error of what the envelope of an answer says.
func newEnvelopeError(resp *http.Response, read answer.EnvelopeError, redact *strings.Replacer, now time.Time) *StatusError {
	e := statusError(resp, statusOf(read.Code), read, redact, now)
	e.limits = namedLimits(read.Message)
	return e
}

func statusError(resp *http.Response, status int, read answer.EnvelopeError, redact *strings.Replacer, now time.Time) *StatusError {
	clean := func(text string) string { return oneLine(redact.Replace(text)) }
	id := cmp.Or(resp.Header.Get("X-Request-Id"), resp.Header.Get("X-Fc-Request-Id"), resp.Header.Get("X-Acs-Request-Id"), read.RequestID)
	return &StatusError{
		Status: status, Code: clean(read.Code), Message: clean(read.Message), RequestID: clean(id),
		RetryAfter: retryAfter(resp.Header, now), answered: resp.StatusCode,
	}
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

// maxRetryAfter is the longest pause taken from an answer.
const maxRetryAfter = time.Hour

// retryAfter reads the pause that an answer asks for, at most maxRetryAfter: the header
// Retry-After holds seconds or a date, and X-Acs-Retry-After of Alibaba Cloud milliseconds.
func retryAfter(header http.Header, now time.Time) time.Duration {
	for name, unit := range map[string]time.Duration{"Retry-After": time.Second, "X-Acs-Retry-After": time.Millisecond} {
		if n, err := strconv.Atoi(strings.TrimSpace(header.Get(name))); err == nil && n > 0 {
			// The inner min prevents an overflow of time.Duration.
			return min(time.Duration(min(n, int(maxRetryAfter/unit)))*unit, maxRetryAfter)
		}
	}
	if at, err := http.ParseTime(header.Get("Retry-After")); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}
