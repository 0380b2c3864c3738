// Package completeness has only tests of the project's promise: if a window is
// complete, every record that the source would give for it is in the table, once.
//
// A test draws histories from a seed. A history has a service with some records, and
// one choice for everything that the vendor's documentation leaves open: borders,
// markers, counts, the time that a query filters by, the order of a list. Between two
// pages records arrive, vanish, move and settle. Calls fail and the archiver crashes.
// The history runs through the real source, the real loop and a real PostgreSQL. At its
// end the test compares the table with the service.
//
// If pages are asked for before their turn, the seed does not decide the order in which
// the service answers them. It may then take several runs to repeat a failure.
//
// No history has both a record that vanishes and another record that arrives: within
// one walk the two can cancel out, and the count does not tell (see
// docs/completeness.md, Limits).
package completeness
