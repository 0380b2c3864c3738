package archive

import "time"

// NoteEvery is how often a run writes its progress to the store, for the status page
// and metrics of other processes.
const NoteEvery = 5 * time.Second

// DeadAfter is how long after its last note a run without an end is shown as one
// whose process died.
const DeadAfter = time.Minute

// A Noted is the progress of a run.
type Noted struct {
	Totals
	Calls   int64 // made to the source in this run
	Refused int64 // of these, answered with "too many"
	Doubt   string
}

// A Summary is what a run did.
type Summary struct {
	Totals
	Run      RunID
	Range    Span
	Waiting  int        // windows that failed in earlier runs and were not asked for in this one
	List     *ListError // the list of functions was not whole
	Vanished int        // functions that are gone since this pass, if so many are a warning: see GoneAtOnce
	Matched  int        // functions that the run was for, with windows due or without
	NotDue   int        // windows asked for that have not settled yet
	Calls    int64      // calls made to the source
	Refused  int64      // of these, answered with "too many"
	Failures []Failure
	// Differences are the first windows whose count was not the source's. A run
	// that repairs has read them again.
	Differences []Difference
	Unrepaired  bool // the windows that differ were not read again

	Apart time.Duration // by how much the clocks differed; 0 if they were not compared
	Doubt string        // see Clocks.Doubt

	// Of a backfill: the windows of the whole Range, of all functions that it was for, and how
	// many of them are complete now. 0 if that is not known.
	RangeWindows, RangeComplete int
}

// GoneAtOnce reports whether so many functions of all that are gone at once are a warning: a
// wrong account, or a permission that was taken away, looks the same.
func GoneAtOnce(gone, all int64) bool { return gone >= 3 && 3*gone > all }

// Err is an *IncompleteError if windows asked for are not complete, or nil.
func (s *Summary) Err() error {
	err := &IncompleteError{Short: int(s.Short), Failed: int(s.Failed), NotDue: s.NotDue, Left: int(s.Left),
		Missed: int(s.Missed), Throttled: int(s.Throttled), Waiting: s.Waiting, Vanished: s.Vanished, List: s.List}
	if s.Unrepaired {
		err.Differ = int(s.Missing)
	}
	if *err == (IncompleteError{}) {
		return nil
	}
	if len(s.Failures) > 0 {
		err.First = s.Failures[0]
	}
	return err
}

// A Difference is a window for which the source counts more or fewer records than
// the archive has.
type Difference struct {
	Function Function
	Window   time.Time
	Archived int // records the archive has, rejected ones included
	Counted  int // by the source; -1 where there was no count to compare with
}
