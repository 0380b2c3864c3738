// Package completeness has no code, only the test of the project's promise:
// when a window says complete, every record that the source would give for it
// is in the table, once.
//
// A history is drawn from a seed: a service with some records, one reading of
// everything that its pages leave open (borders, markers, counts, the time it
// filters by, the order it lists in), records that arrive, vanish, move and
// settle between two pages, faults of the transport, and crashes of the
// archiver. It runs through the real source, the real loop and a real
// PostgreSQL; at its end the table is compared with the service. Where pages
// are asked for before their turn, the order in which the service answers them
// is not the seed's: such a history may need a few runs to show again what it
// showed once.
//
// One thing a history never has is a record that vanishes and another that
// arrives: within one walk they can cancel out, and no count would tell (see
// docs/completeness.md, Limits).
package completeness
