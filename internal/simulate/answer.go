package simulate

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
)

// refusal is an error as the API answers it: a status code and a body of
// error_code and error_msg.
type refusal struct {
	status  int
	code    string
	message string
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

// The refusals that the pages name, in their words, and the gateway's for calls
// beyond the rate limit.
var (
	errToken      = forbidden("invalid token")
	errProject    = forbidden("the project is not the one the credentials are for")
	errNoFunction = &refusal{http.StatusNotFound, "FSS.0404", "can not find function"}
	errNoPath     = &refusal{http.StatusNotFound, "FSS.0404", "no such path"}
	errInternal   = &refusal{http.StatusInternalServerError, "FSS.0500", "internal error"}
	errThrottled  = &refusal{http.StatusTooManyRequests, "APIGW.0308", "the throttling threshold has been reached"}
)

func forbidden(message string) *refusal {
	return &refusal{http.StatusForbidden, "FSS.0403", message}
}

// invalid is the answer to a parameter that cannot be understood. No page names
// a status code for that, only the bounds; 400 and a code shaped like the others
// are a guess.
func invalid(message string) *refusal {
	return &refusal{http.StatusBadRequest, "FSS.0400", message}
}

// refuse answers with err: a refusal as it is, anything else as an internal
// error whose cause goes to the log only.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *refusal
	if !errors.As(err, &e) {
		s.log(r, slog.LevelError, "request failed", slog.Any("error", err))
		e = errInternal
	}
	s.stats.refused(e.status)
	s.log(r, slog.LevelDebug, "call refused", slog.Int("status", e.status), slog.String("error", e.Error()))
	body := `{"error_code":` + quote(e.code) + `,"error_msg":` + quote(e.message) + `}`
	if ofCompute(r) {
		body = e.compute()
	}
	write(w, e.status, []byte(body))
}

// answerJSON answers with v.
func answerJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, body)
	return nil
}

// write sends a whole answer at once. A caller that has gone away needs none,
// so the error of sending it is not looked at.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // G705: it is JSON, and of a question it repeats a token that was made here
}

// quote returns s as a JSON string; json.Marshal of a string cannot fail.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
