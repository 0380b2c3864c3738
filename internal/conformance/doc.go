// Package conformance tests a source. Every source has to pass it. Only tests import
// this package.
//
// The test of a source gives the suite two things: an http.Handler that answers like
// the cloud, with the records of a [Cloud], and a function that opens the
// archive.Source on that handler. The suite fills the Cloud and reads it through real
// HTTP. Some parts also use the real loop and a real PostgreSQL. docs/sources.md lists
// what the suite checks.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestConformance(t *testing.T) { // not parallel: the suite checks for leaked goroutines
//		conformance.Test(t, conformance.Suite{
//			Provider: Provider,
//			PageSize: 5, FunctionPage: 100,
//			Function: func(n int) archive.Function {
//				return archive.Function{URN: fmt.Sprintf("service/f%d", n), Name: fmt.Sprintf("f%d", n)}
//			},
//			Open: func(t *testing.T, url string, caller *extract.Caller) archive.Source {
//				return New(Options{Endpoint: url, AccessKey: "key", SecretKey: "secret", PageSize: 5}, caller)
//			},
//			Ways: []conformance.Way{{Name: "nextToken", ShortPages: true, Handler: func(c *conformance.Cloud) http.Handler {
//				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//					// … read limit, nextToken and times from r …
//					a := c.List(conformance.Question{Function: urn, From: from, To: to, Offset: offset, Limit: limit})
//					// … write a.Records, and a.Next as nextToken where a.More …
//				})
//			}}},
//			Denied:    []conformance.Refusal{{Status: 403, Body: `{"code":"AccessDenied","message":%q}`}},
//			Gone:      conformance.Refusal{Status: 404, Body: `{"code":"FunctionNotFound","message":%q}`},
//			Elsewhere: []conformance.Refusal{{Status: 404, Body: `<html>%s</html>`}},
//			Secrets:   []string{"key", "secret"},
//			Unusable:  []string{`{"status":"Succeeded"}`, `7`},
//			Codes:     conformance.Codes{Throttled: "Throttling", Failing: "InternalError", Denied: "AccessDenied", Gone: "FunctionNotFound"},
//			Sentinels: []string{`{"requestId":%q,"startedTime":0,"endTime":"1970-01-01T00:00:00Z"}`},
//		})
//	}
package conformance
