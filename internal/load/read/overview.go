package read

import (
	"context"
	_ "embed" // statements
	"fmt"
	"maps"
	"slices"
	"time"

	"archiver/internal/load/pg"
)

// An Overview is the state of the archive, for metrics.
type Overview struct {
	Providers []ProviderOverview
	// LastSuccess is when run or once last ended with everything due archived; nil
	// for never.
	LastSuccess *time.Time
}

// A ProviderOverview sums the functions of one provider.
type ProviderOverview struct {
	Provider  string
	Listed    int64 // functions that are not gone
	Gone      int64
	StatusOff int64 // listed functions of which the source keeps no records now

	// Windows by state; complete ones include those that are off. Open windows of functions
	// that are missing from the list are not counted.
	WindowsPending, WindowsPartial, WindowsComplete, WindowsShort, WindowsFailed, WindowsGone int64

	WindowsExpired int64
	WindowsMissed  int64 // expired ones that were missed, and that no operator has acknowledged
	WindowsStuck   int64 // failed or short ones of which no smaller question can be asked: they wait longer each time
	ListsNotWhole  int64 // sources whose list of functions was not whole when it was last read

	Records, InFlight, Rejected int64

	OldestIncomplete *time.Time // the first window that is neither complete nor gone nor expired
	OldestDue        *time.Time // the first of them that the source still has
	OldestInFlight   *time.Time // the start of the record in flight for longest
}

//go:embed overview.sql
var selectOverview string

// Overview reads the state of the archive. since says from when on the source of
// each provider still has its records; a provider that is not in since has no
// OldestDue. Overview reads the totals, and for each function with open windows two
// windows.
func (a *Archive) Overview(ctx context.Context, now time.Time, since map[string]time.Time) (o Overview, err error) {
	providers := slices.Collect(maps.Keys(since))
	from := make([]time.Time, len(providers))
	for i, p := range providers {
		from[i] = since[p]
	}
	o.Providers, err = pg.Collect[ProviderOverview](ctx, a.db.Pool, "the state of the archive", selectOverview,
		pg.Args{"providers": providers, "since": from})
	if err != nil {
		return o, err
	}
	err = a.db.Pool.QueryRow(ctx, `
		SELECT (SELECT finished_at
		          FROM runs
		         WHERE outcome = 'complete' AND asked_by IN ('run', 'once')
		           -- A run whose clock was ahead must not hide that later ones fail.
		           AND finished_at <= $1::timestamptz + interval '1 hour'
		         ORDER BY run_id DESC
		         LIMIT 1)`, now).Scan(&o.LastSuccess)
	if err != nil {
		return o, fmt.Errorf("select the last success: %w", err)
	}
	return o, nil
}
