package read

import (
	"context"
	_ "embed" // statements
	"time"

	"archiver/internal/load/pg"
)

// An Overview is the state of the archive, for metrics.
type Overview struct {
	Verdict Verdict
	Sources []SourceOverview // those with functions that are not ignored
}

// A SourceOverview sums the functions of one source.
type SourceOverview struct {
	Name string

	Wanted, Missing, Gone, Excluded, Ignored int64 // functions by standing
	StatusOff                                int64 // wanted functions of which the source keeps no records now

	// Windows by state; complete ones include those that are off. Open and missed windows of
	// functions that are not wanted are not counted.
	WindowsPending, WindowsPartial, WindowsComplete, WindowsShort, WindowsFailed, WindowsGone int64

	WindowsExpired int64
	WindowsMissed  int64 // expired ones that were missed, and that no operator has acknowledged
	WindowsStuck   int64 // failed or short ones of which no smaller question can be asked: they wait longer each time

	Records, InFlight, Rejected int64

	OldestIncomplete *time.Time // the first window that is neither complete nor gone nor expired
	OldestDue        *time.Time // the first of them that the source still has
	// OldestInFlight is the start of the record in flight for longest, of those that are
	// still asked for.
	OldestInFlight *time.Time
}

//go:embed overview.sql
var selectOverview string

// Overview reads the state of the archive at a time: the totals, and for each function with
// open windows two windows.
func (a *Archive) Overview(ctx context.Context, now time.Time, kept Times) (o Overview, err error) {
	err = a.Snapshot(ctx, func(s *Snapshot) error {
		if o.Verdict, err = s.Verdict(ctx, now, kept); err != nil {
			return err
		}
		var ids []int32
		var names, providers, regions, projects []string
		var since []time.Time
		for i := range o.Verdict.Sources {
			of := &o.Verdict.Sources[i].Source
			if of.IgnoredAt != nil {
				continue
			}
			ids = append(ids, of.ID)
			names, providers, regions, projects = append(names, of.Name), append(providers, of.Provider), append(regions, of.Region), append(projects, of.Project)
			since = append(since, now.Add(-kept.Of(of)))
		}
		o.Sources, err = pg.Collect[SourceOverview](ctx, s.tx, "the state of the archive", selectOverview,
			pg.Args{"ids": ids, "names": names, "providers": providers, "regions": regions, "projects": projects, "since": since})
		return err
	})
	return o, err
}
