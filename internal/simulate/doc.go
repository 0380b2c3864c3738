// Package simulate serves the part of the FunctionGraph API that an archive
// reads, over HTTP and from memory, for trying, testing and benchmarks. Under
// /2021-04-06/ it serves the same records as Function Compute would (see
// compute.go).
//
// A [Server] answers from a [dataset.Data] as the API's pages describe, and
// checks signatures and tokens as strictly as the real gateway. It also serves
// the two calls of the identity service that signing in needs.
//
// [Faults] make the Server differ: it takes each reading that the pages leave
// open, or fails as a source can fail. [Server.Truth] returns what an archive
// should hold in the end.
package simulate
