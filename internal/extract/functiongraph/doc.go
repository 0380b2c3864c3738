// Package functiongraph reads Huawei Cloud's FunctionGraph, and Open Telekom
// Cloud's, which has the same API at other endpoints.
//
// The official SDK makes the requests: paths, signatures and endpoints. This
// package decodes the answers itself, because with the SDK's models one value of
// an unexpected type (such as an error_code or next_marker that is a string)
// would cost the whole page. Pages: "Querying Functions", "Querying Asynchronous
// Invocation Requests".
package functiongraph
