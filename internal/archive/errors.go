package archive

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrDenied says that the source refused a call: the credentials are not valid, or
	// lack the permission for this function or for this call. It ends the run only if
	// the cheapest call is refused too.
	ErrDenied = errors.New("denied by the source")

	// ErrGone says that the source does not know the function.
	ErrGone = errors.New("function is gone")

	// ErrCursor says that the source does not accept a cursor that it gave, for
	// example because the cursor has expired. The walk begins again at the first page.
	ErrCursor = errors.New("the cursor does not hold any more")

	// ErrBusy says that the source has accepted no call for as long as the archiver
	// waits (--source-patience). It ends the run; no window has failed.
	ErrBusy = errors.New("the source accepts no calls")

	// ErrThrottled says that the source has refused all calls for one function for a while,
	// and accepts others. The function's windows stay pending; the run goes on.
	ErrThrottled = errors.New("the source throttles this function alone")

	// ErrNoFunction says that no function matched, so that there was nothing to do.
	ErrNoFunction = errors.New("no function was found: check the project, the region, and --function or ARCHIVER_FUNCTIONS")

	// ErrInterrupted is the cause of a context that the user has cancelled.
	ErrInterrupted = errors.New("interrupted, progress is kept")

	// ErrFinish matches ErrInterrupted. With this cause a run still waits for the
	// answers to the calls under way, and commits them. With any other cause it
	// commits only the pages that have been answered.
	ErrFinish = fmt.Errorf("%w", ErrInterrupted)

	// ErrClaimed says that another worker has claimed the function.
	ErrClaimed = errors.New("function is claimed by another worker")

	// ErrClaimLost says that another worker has taken over the claim. The transaction
	// that found this out was rolled back.
	ErrClaimLost = errors.New("claim was lost to another worker")
)

// RunOutcome returns the word that the archive keeps for how a run ended: complete,
// incomplete, interrupted or failed.
func RunOutcome(ended error) string {
	var incomplete *IncompleteError
	switch {
	case ended == nil:
		return "complete"
	case errors.As(ended, &incomplete), errors.Is(ended, ErrBusy):
		return "incomplete"
	case errors.Is(ended, ErrInterrupted):
		return "interrupted"
	default:
		return "failed"
	}
}

// An IncompleteError says that a run ended with windows that are not complete. The
// records archived so far stay.
type IncompleteError struct {
	Short, Failed, NotDue, Differ int        // windows
	Waiting                       int        // windows that failed in earlier runs and are not asked for in this one
	Missed                        int        // windows that the source forgot before they were complete
	Throttled                     int        // windows that are pending, since the source throttles their function alone
	Left                          int        // failed calls about records in flight, counts or versions
	Vanished                      int        // functions that are gone at once, in this run
	List                          *ListError // the list of functions was not whole
	First                         Failure    // the first failure, if any
}

func (e *IncompleteError) Error() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{e.Short + e.Failed, "windows are not complete"},
		{e.Waiting, "windows failed in earlier runs and wait before they are asked for again"},
		{e.Missed, "windows were forgotten by the source before they were complete (expired)"},
		{e.Throttled, "windows are pending: the source throttles their functions, run again later"},
		{e.Differ, "windows have fewer records than the source counts (--repair reads them again)"},
		{e.Left, "calls about records in flight, counts or versions failed, the next run makes them again"},
		{e.Vanished, "functions are gone at once: check the account, the region and the permissions"},
		{e.NotDue, "windows have not settled yet, run again later"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if e.List != nil {
		parts = append(parts, e.List.Error())
	}
	msg := strings.Join(parts, "; ")
	if e.First.Err != nil {
		msg += fmt.Sprintf("; first %s %s: %v", e.First.Function.Name, e.First.Span, e.First.Err)
	}
	return msg
}

// CallID returns the id of the first failed call.
func (e *IncompleteError) CallID() string { return CallID(e.First.Err) }

// A Failure says why a span did not become complete.
type Failure struct {
	Function Function
	Span     Span
	Err      error
}

// A ShortError says that no walk of a span was whole: the source counted more records
// than it gave; or it gave no count (Count is -1), and no two walks saw the same
// records; or its count changed during every walk (Moved).
type ShortError struct {
	Saw, Count int
	Moved      bool
}

func (e *ShortError) Error() string {
	switch {
	case e.Count < 0:
		return fmt.Sprintf("the source gives no count, and no two walks saw the same records (%d in the last)", e.Saw)
	case e.Moved:
		return fmt.Sprintf("the source's count changed during every walk (%d in the end, %d seen)", e.Count, e.Saw)
	default:
		return fmt.Sprintf("the source counts %d records and gives %d", e.Count, e.Saw)
	}
}

// A ListError says that the source's list of functions was not whole, however often it
// was asked for. The functions listed are archived.
type ListError struct {
	Listed, Counted int   // functions; Counted is -1 if the source gives no count
	Err             error // what ended the list; nil if nothing failed
}

func (e *ListError) Error() string {
	text := fmt.Sprintf("the source's list of functions is not whole: it lists %d", e.Listed)
	if e.Counted >= 0 {
		text = fmt.Sprintf("the source's list of functions is not whole: it counts %d functions and lists %d", e.Counted, e.Listed)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// A SourceError is an error of the source, not of the archive. It concerns one span;
// other spans can still be read.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap returns the source's own error.
func (e *SourceError) Unwrap() error { return e.Err }
