// Package conformance is what every source has to pass, for each cloud. Only
// tests import it.
//
// A source's own test says how its cloud answers, as an http.Handler around a
// [Cloud] that the suite fills with records, and opens an archive.Source on it.
// The suite asks through real HTTP, and in parts through the real loop with a
// real PostgreSQL: docs/sources.md lists what it holds a source to.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestConformance(t *testing.T) { // not in parallel: it looks for goroutines left
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
//		})
//	}
package conformance
