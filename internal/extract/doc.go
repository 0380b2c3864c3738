// Package extract holds what all sources share. A [Caller] limits, retries,
// cancels and measures the calls to a source. Each source is a package below
// this one; package answer reads JSON for all of them.
package extract
