package simulate

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
)

// refusal is an error answer of the API: a status code and a body of error_code
// and error_msg.
type refusal struct {
	status  int
	code    string
	message string

	computeCode string // in Function Compute's API; empty for the status's own
	retryAfter  int    // seconds; 0 for none
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

// The refusals that the API's pages name, in their words, and the gateway's
// refusal of calls beyond the rate limit.
var (
	errToken      = forbidden("invalid token")
	errProject    = forbidden("the project is not the one the credentials are for")
	errNoFunction = &refusal{status: http.StatusNotFound, code: "FSS.0404", message: "can not find function", computeCode: "FunctionNotFound"}
	errNoPath     = &refusal{status: http.StatusNotFound, code: "FSS.0404", message: "no such path"}
	errInternal   = &refusal{status: http.StatusInternalServerError, code: "FSS.0500", message: "internal error"}
	errThrottled  = &refusal{status: http.StatusTooManyRequests, code: "APIGW.0308", message: "the throttling threshold has been reached"}
)

func forbidden(message string) *refusal {
	return &refusal{status: http.StatusForbidden, code: "FSS.0403", message: message}
}

// invalid is the answer to an invalid parameter. The pages name the bounds of
// parameters but no status code; 400 and the error code are a guess.
func invalid(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "FSS.0400", message: message}
}

// refuse answers with err. If err is not a refusal, the answer is an internal
// error, and only the log tells the cause.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errEnvelope):
		s.answerEnvelope(w, r)
		return
	case errors.Is(err, errHollow):
		s.hollow(w, r)
		return
	}
	var e *refusal
	if !errors.As(err, &e) {
		s.log(r, slog.LevelError, "request failed", slog.Any("error", err))
		e = errInternal
	}
	s.stats.refused(e.status)
	s.log(r, slog.LevelDebug, "call refused", slog.Int("status", e.status), slog.String("error", e.Error()))
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	body := `{"error_code":` + quote(e.code) + `,"error_msg":` + quote(e.message) + `}`
	if ofCompute(r) {
		body = e.compute()
	}
	write(w, e.status, []byte(body))
}

func answerJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err == nil {
		write(w, status, body)
	}
	return err
}

// write sends a whole answer at once. The error of sending is ignored: then the
// caller has gone away.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// quote returns s as a JSON string; json.Marshal of a string cannot fail.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
