// Package functiongraph reads Huawei Cloud's FunctionGraph, and Open Telekom
// Cloud's, which is the same API under other endpoints.
//
// The requests, their signing and the endpoints are the official SDK's; the
// answers are decoded here, because one value of another type than its models
// expect (an error_code or a next_marker that is a string) would cost the
// whole page. Pages: "Querying Functions", "Querying Asynchronous Invocation
// Requests".
package functiongraph
