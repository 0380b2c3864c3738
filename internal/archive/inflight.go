package archive

import "time"

// MaxLife is how long after its window a record in flight is asked for again:
// an invocation waits up to 24 hours (page: Querying Asynchronous Execution
// Notification Settings, max_async_event_age_in_seconds) and runs up to 72.
const MaxLife = 96 * time.Hour

// FirstRecheck is how long after it was found a record in flight is asked for
// again; each time after that it is twice as long.
const FirstRecheck = 10 * time.Minute

// An InFlightRecord is one that the archive has as unfinished.
type InFlightRecord struct {
	RequestID string
	Window    time.Time // that it counts into
	Extra     []byte    // see Invocation
}
