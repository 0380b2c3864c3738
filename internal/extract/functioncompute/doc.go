// Package functioncompute reads the stateful asynchronous invocations of
// Alibaba Cloud's Function Compute 2.0 (API version 2021-04-06).
//
// The official SDK makes the requests: paths, signatures and endpoints. It gets
// an HTTP client of this package, which uses the transport of the
// [extract.Caller] and decodes the answers. The SDK's models do not decode them,
// because one value of an unexpected type would cost the whole page. Page:
// "ListStatefulAsyncInvocations".
package functioncompute
