// Package functioncompute reads the stateful asynchronous invocations of
// Alibaba Cloud's Function Compute 2.0 (API version 2021-04-06).
//
// The requests, their paths, signing and endpoints are the official SDK's, which
// takes a HTTP client in its configuration. That is where the shared transport
// comes in, and where the answers are read: by hand, because one value of
// another type than the SDK's models expect would cost the whole page. Page:
// "ListStatefulAsyncInvocations".
package functioncompute
