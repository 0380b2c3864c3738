package archive

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrDenied is matched where a source refuses the credentials or says that
	// they lack a permission. It ends the run for that source at once: asking
	// on would be refused as well.
	ErrDenied = errors.New("denied by the source")

	// ErrGone is matched where a source does not know the function.
	ErrGone = errors.New("function is gone")

	// ErrCursor is matched where a source does not go on from a cursor that it
	// gave: it has expired, say. The walk begins again from the first page.
	ErrCursor = errors.New("the cursor does not hold any more")

	// ErrInterrupted is the cause of a context that the user ended.
	ErrInterrupted = errors.New("interrupted, progress is kept")

	// ErrFinish matches ErrInterrupted. It is the cause of a context that was
	// ended by somebody who can wait: the pages in hand are still answered, and
	// kept, while after any other cause only what has come already is.
	ErrFinish = fmt.Errorf("%w", ErrInterrupted)

	// ErrClaimed is matched where another worker has the function.
	ErrClaimed = errors.New("function is claimed by another worker")

	// ErrClaimLost is matched where a worker's claim has passed to another.
	// Nothing of the transaction that found out was kept.
	ErrClaimLost = errors.New("claim was lost to another worker")
)

// RunOutcome is the word for how a run ended, as the archive keeps it: complete,
// incomplete, interrupted or failed.
func RunOutcome(ended error) string {
	var incomplete *IncompleteError
	switch {
	case ended == nil:
		return "complete"
	case errors.As(ended, &incomplete):
		return "incomplete"
	case errors.Is(ended, ErrInterrupted):
		return "interrupted"
	default:
		return "failed"
	}
}

// An IncompleteError says that a run ended with windows that are not complete.
// What was archived stays.
type IncompleteError struct {
	Short, Failed, NotDue, Differ int     // windows
	Left                          int     // questions about records in flight, counts or versions without an answer
	First                         Failure // the first trouble, if any
}

func (e *IncompleteError) Error() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{e.Short + e.Failed, "windows are not complete"},
		{e.Differ, "windows have fewer records than the source counts (--repair reads them again)"},
		{e.Left, "questions about records in flight, counts or versions had no answer"},
		{e.NotDue, "windows have not settled yet, run again later"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	msg := strings.Join(parts, "; ")
	if e.First.Err != nil {
		msg += fmt.Sprintf("; first %s %s: %v", e.First.Function.Name, e.First.Span, e.First.Err)
	}
	return msg
}

// CallID is that of the first trouble.
func (e *IncompleteError) CallID() string { return CallID(e.First.Err) }

// A Failure is what kept a span from becoming complete.
type Failure struct {
	Function Function
	Span     Span
	Err      error
}

// A ShortError says that the source counted more records than it gave, or
// (Count -1) gave no count and something else at every walk, or (Moved) went
// on changing while it was read.
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

// A SourceError is an error of the source, not of the archive: it concerns one
// span and leaves the others as they are.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap makes errors.Is see what the source said.
func (e *SourceError) Unwrap() error { return e.Err }
