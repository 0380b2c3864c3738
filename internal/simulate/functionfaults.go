package simulate

import (
	"net/http"
)

// functionAnswers are what a function can answer instead of its records, by the
// words of gone-answer and broken-answer.
var functionAnswers = map[string]error{
	"401": &refusal{status: http.StatusUnauthorized, code: "FSS.0401", message: "unauthorized"},
	"403": errDenied,
	"404": errNoFunction,
	"429": errThrottled,
	"500": errBroken,

	// Codes for what does not exist, of FunctionGraph and of Function Compute (pages: Error
	// Codes). The other API answers these functions as with 404.
	"FSS.0410":             notFoundOfGraph(http.StatusGone, "FSS.0410"),
	"FSS.1051":             notFoundOfGraph(http.StatusNotFound, "FSS.1051"),
	"FSS.1052":             notFoundOfGraph(http.StatusBadRequest, "FSS.1052"),
	"ServiceNotFound":      notFoundOfCompute("ServiceNotFound"),
	"VersionNotFound":      notFoundOfCompute("VersionNotFound"),
	"AliasNotFound":        notFoundOfCompute("AliasNotFound"),
	"AsyncConfigNotExists": notFoundOfCompute("AsyncConfigNotExists"),

	"envelope": errEnvelope,
	"hollow":   errHollow,
}

var functionAnswerNames = []string{
	"401", "403", "404", "429", "500", "FSS.0410", "FSS.1051", "FSS.1052", "ServiceNotFound", "VersionNotFound", "AliasNotFound", "AsyncConfigNotExists", "envelope", "hollow",
}

func notFoundOfGraph(status int, code string) *refusal {
	return &refusal{status: status, code: code, message: "not found the function", computeCode: errNoFunction.computeCode}
}

func notFoundOfCompute(code string) *refusal {
	e := *errNoFunction
	e.computeCode = code
	return &e
}

// listed returns the functions that the list of functions names, and its count.
func (s *Server) listed() (functions []int, count int, err error) {
	f, now := s.faults, s.options.Now()
	if f.listDenied {
		return nil, 0, errDenied
	}
	for i := range s.names {
		if f.goneListed == "no" && f.isGone(i, now) {
			continue
		}
		functions = append(functions, i)
	}
	count = len(functions)
	if f.lists > 0 {
		functions = functions[:min(f.lists, count)]
	}
	return functions, count, nil
}
