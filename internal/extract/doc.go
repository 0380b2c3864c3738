// Package extract is what all sources share: a [Caller] that limits, retries,
// cancels and measures their calls. A package below it is a source.
package extract
