package extract

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A StatusError is an answer that is not a success.
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

// Limits of what is read of an answer that is not a success, in bytes.
const (
	maxErrorBody    = 64 << 10
	maxErrorMessage = 300
)

// newStatusError reads such an answer and closes its body. The two clouds
// write error_code and error_msg, or code and message.
func newStatusError(resp *http.Response, now time.Time) *StatusError {
	e := &StatusError{
		Status:     resp.StatusCode,
		RequestID:  resp.Header.Get("X-Request-Id"),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now),
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return e // the status says enough
	}
	var said map[string]any
	if json.Unmarshal(body, &said) == nil {
		for _, keys := range [][2]string{{"error_code", "error_msg"}, {"code", "message"}, {"ErrorCode", "ErrorMessage"}} {
			if code, ok := said[keys[0]].(string); ok {
				e.Code = clip(code)
				message, _ := said[keys[1]].(string)
				e.Message = clip(message)
				return e
			}
		}
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		e.Message = "with a body of " + clip(kind)
	}
	return e
}

// clip makes a foreign text fit for one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if len(s) > maxErrorMessage {
		s = strings.ToValidUTF8(s[:maxErrorMessage], "") + "…"
	}
	return s
}

// retryAfter reads the header's two shapes: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return min(at.Sub(now), time.Hour)
	}
	return 0
}
