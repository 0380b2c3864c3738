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
// Half of the histories have limits: ceilings of lists, widest ranges, retention, largest
// pages, seconds and records that fail, functions that are denied, lists of functions that
// are cut off. A window that is not complete has to have a reason that the service gave,
// and has to name the smallest question that failed.
//
// If pages are asked for before their turn, the seed does not decide the order in which
// the service answers them. It may then take several runs to repeat a failure.
//
// No history has both a record that vanishes and another record that arrives: within
// one walk the two can cancel out, and the count does not tell (see
// docs/completeness.md, Limits).
package completeness
