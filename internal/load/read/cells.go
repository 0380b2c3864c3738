package read

import (
	"context"
	_ "embed" // statements
	"time"

	"archiver/internal/load/pg"
)

// A Cell sums the windows of a function within an hour or a UTC day.
type Cell struct {
	FunctionID int32 // 0 for the sum of several functions
	At         time.Time
	Windows    int64 // planned
	Complete   int64
	InFlight   int64 // complete ones with records in flight
	Off        int64 // complete ones in which the source kept no records
	Short      int64
	Failed     int64
	Gone       int64
	Expired    int64
	Missed     int64 // expired ones that were missed, and that no operator has acknowledged
	Records    int64
	Pending    int64
}

// A Grain is how much time a cell or a figure covers.
type Grain string

// The grains.
const (
	Hourly Grain = "hour"
	Daily  Grain = "day"
)

//go:embed hourcells.sql
var selectHourCells string

//go:embed daycells.sql
var selectDayCells string

// cells selects the cells of the grain.
func (g Grain) cells() string {
	if g == Hourly {
		return selectHourCells
	}
	return selectDayCells
}

// Cells are the cells of each of the functions in [from, to), in the order of
// functions and time. An hour or a day without windows has no cell.
func (s *Snapshot) Cells(ctx context.Context, functions []int32, from, to time.Time, grain Grain) ([]Cell, error) {
	return pg.Collect[Cell](ctx, s.tx, "the windows of functions", grain.cells()+` ORDER BY function_id, at`,
		pg.Args{"functions": functions, "from": from, "to": to})
}

// Sums are the cells of all of the functions together, in the order of time.
func (s *Snapshot) Sums(ctx context.Context, functions []int32, from, to time.Time, grain Grain) ([]Cell, error) {
	return pg.Collect[Cell](ctx, s.tx, "the sums of windows", `
		SELECT 0, at, sum(windows)::bigint, sum(complete)::bigint, sum(in_flight)::bigint, sum(off)::bigint,
		       sum(short)::bigint, sum(failed)::bigint, sum(gone)::bigint,
		       sum(expired)::bigint, sum(missed)::bigint, sum(records)::bigint, sum(pending)::bigint
		  FROM (`+grain.cells()+`) AS cells
		 GROUP BY at
		 ORDER BY at`, pg.Args{"functions": functions, "from": from, "to": to})
}

// An OpenWindow is a window that is not complete, and the reason.
type OpenWindow struct {
	FunctionID int32
	Start      time.Time
	State      string
	Attempts   int
	LastError  *string

	Refused
	// RetryAt is set if the window is stuck: until then, run and once do not ask for it.
	RetryAt *time.Time
}

// Refused is the smallest question that is known to fail, in whole seconds; nil if it
// is not known. It lies within one window, or covers it.
type Refused struct {
	RefusedFrom *time.Time
	RefusedTo   *time.Time
}

//go:embed openwindows.sql
var selectOpenWindows string

// OpenWindows are the windows of the functions at the starts, one for each pair,
// oldest first.
func (s *Snapshot) OpenWindows(ctx context.Context, functions []int32, starts []time.Time) ([]OpenWindow, error) {
	return pg.Collect[OpenWindow](ctx, s.tx, "open windows", selectOpenWindows,
		pg.Args{"functions": functions, "starts": starts})
}

// A Trouble is an error that open windows ended with. Errors of other functions
// that differ only in names and numbers are counted with it.
type Trouble struct {
	Error      string
	Functions  int64
	FunctionID int32 // the function whose error is quoted
	Start      time.Time
	Refused
}

//go:embed troubles.sql
var selectTroubles string

// Troubles are the last errors of functions with open windows, newest first, at
// most n.
func (s *Snapshot) Troubles(ctx context.Context, functions []int32, n int) ([]Trouble, error) {
	return pg.Collect[Trouble](ctx, s.tx, "the last errors", selectTroubles,
		pg.Args{"functions": functions, "most": n})
}
