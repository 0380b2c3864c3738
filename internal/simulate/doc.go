// Package simulate serves the part of the FunctionGraph API that an archive
// reads, over HTTP and from memory, for trying, testing and benchmarks. Under
// /2021-04-06/ it shows the same records as Function Compute would (see
// compute.go).
//
// A [Data] holds functions and their invocations: a published trace
// ([LoadTrace]), one generated day ([Generate]), or days that go on with the
// clock ([Live]). The same seed and date give the very same records, whatever
// asks for them and in whatever order. A [Server] answers from a Data as the
// API's pages describe, and checks signatures and tokens as strictly as the
// real gateway does; so much of the identity service as signing in needs is
// there as well. [Faults] make it read and answer otherwise: in each of the
// ways that the pages leave open, and in those in which a source fails; what an
// archive should have of it in the end is the Server's Truth.
//
// What is stored of a record is eight bytes (see packed); its request id is its
// position, encrypted, so that ids are unique, look random, need no memory, and
// lead back to their record.
package simulate
