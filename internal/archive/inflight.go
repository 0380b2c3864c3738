package archive

import "time"

// MaxLife is how long after its window a record in flight is still asked for. An
// invocation waits up to 24 hours (vendor's page "Querying Asynchronous Execution
// Notification Settings", max_async_event_age_in_seconds) and runs up to 72 hours.
const MaxLife = 96 * time.Hour

// FirstRecheck is how long after a record in flight was found the source is asked
// for it again. Each later wait is twice as long as the wait before it.
const FirstRecheck = 10 * time.Minute

// An InFlightRecord is a record that the archive has in flight.
type InFlightRecord struct {
	RequestID string
	Window    time.Time // into which the record counts
	Extra     []byte    // see Invocation
}
