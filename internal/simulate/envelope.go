package simulate

import (
	"errors"
	"net/http"
	"path"
)

// envelopes are how an error in the body of a 200 is written.
type envelopes struct {
	envelopeWords, envelopeError string
	envelopeList                 bool
}

// envelope are the switches of envelopes.
var envelope = []toggle{
	words("envelope-error", "the error in an envelope: internal, throttled, no permission, or not found", func(f *Faults) *string { return &f.envelopeError },
		"internal", "throttled", "denied", "missing"),
	words("envelope-words", "the names of its fields: the cloud's own (error_code or ErrorCode), error_code, errorCode, ErrorCode, code, Code", func(f *Faults) *string { return &f.envelopeWords },
		"own", "snake", "camel", "pascal", "short", "title", "mixed"),
	onOff("envelope-list", "an envelope has an empty list as well", func(f *Faults) { f.envelopeList = true }),
}

// Answers that are no refusals of their own.
var (
	errEnvelope = errors.New("an error in the body of a 200")
	errHollow   = errors.New("a 200 without list, count and token")
)

// answerEnvelope answers 200 with an error in the body.
func (s *Server) answerEnvelope(w http.ResponseWriter, r *http.Request) {
	f := s.faults
	e := map[string]*refusal{
		"internal": errInternal, "throttled": errThrottled, "denied": errDenied, "missing": errNoFunction,
	}[f.envelopeError]
	how := choose(f.envelopeWords, f.root.of(drawEnvelope).text(r.URL.RequestURI()), "snake", "camel", "pascal", "short", "title")
	compute := ofCompute(r)
	if how == "own" {
		how = map[bool]string{true: "pascal", false: "snake"}[compute]
	}
	names := map[string][2]string{
		"snake": {"error_code", "error_msg"}, "camel": {"errorCode", "errorMessage"}, "pascal": {"ErrorCode", "ErrorMessage"},
		"short": {"code", "message"}, "title": {"Code", "Message"},
	}[how]
	code := e.code
	if compute {
		code = e.ofCompute()
	}
	body := `{"` + names[0] + `":` + quote(code) + `,"` + names[1] + `":` + quote(e.message) + `,"count":0`
	if f.envelopeList {
		body += `,"` + listNames[path.Base(r.URL.Path)] + `":[]`
	}
	write(w, http.StatusOK, []byte(body+"}"))
}

// listNames are the names of the lists in answers, by the end of the path that is asked for.
var listNames = map[string]string{
	"functions": "functions", "versions": "versions", "aliases": "aliases", "async-invoke-configs": "async_invoke_configs",
	"async-invocations": "invocations", "stateful-async-invocations": "invocations", "stateful-async-invocation-functions": "data",
}

func (s *Server) hollow(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, []byte("{}"))
}
