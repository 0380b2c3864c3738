package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/settings"
)

// FailedAsWhole reports whether a pass failed as a whole, or that of any of several sources.
func FailedAsWhole(err error) bool {
	var several settings.Errors
	if errors.As(err, &several) {
		return slices.ContainsFunc(several, FailedAsWhole)
	}
	return archive.RunOutcome(err) == "failed"
}

// A Retention tells which days may be dropped. What is dropped cannot be read again, so no
// wrong clock alone decides: a day is old by the earliest of this machine's clock, the
// database's, and for each source of the archive the end of the newest hour that is
// complete, off or expired.
type Retention struct {
	db      *pg.DB
	days    *days.Days
	sources []*Source
	clock   archive.Clock
}

// NewRetention returns the retention of the archive in a database, as the settings of the
// sources say.
func NewRetention(db *pg.DB, sources []*Source, clock archive.Clock) Retention {
	return Retention{db, days.New(db), sources, clock}
}

// Retention returns the retention of the set.
func (set *Set) Retention(clock archive.Clock) Retention {
	return NewRetention(set.DB, set.Sources, clock)
}

// dropBefore returns the time before which days may be dropped at a time; zero for none.
// expected says that the sources of this process are taken to be archived up to now, as
// they are after the next pass.
func (r Retention) dropBefore(ctx context.Context, now time.Time, expected bool) (first time.Time, err error) {
	var longest time.Duration
	for i, s := range r.sources {
		if s.Retention == 0 {
			return time.Time{}, nil
		}
		longest = max(longest, s.Retention)
		// The next pass still reads what is due.
		from := s.DueOrder("", now).Range.From
		if i == 0 || from.Before(first) {
			first = from
		}
	}
	ahead, err := r.db.Ahead(ctx, r.clock)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the clock of the archive: %w", err)
	}
	newest, err := r.days.Newest(ctx)
	if err != nil {
		return time.Time{}, err
	}
	own := r.clock.Now()
	for _, t := range []time.Time{now, own, own.Add(ahead)} {
		newest = append(newest, days.Newest{End: t})
	}
	for _, n := range newest {
		switch {
		case expected && r.reads(n.Source):
		case n.End.IsZero():
			return time.Time{}, nil
		case n.End.Add(-longest).Before(first):
			first = n.End.Add(-longest)
		}
	}
	return first, nil
}

// reads reports whether a source of the archive is one of this process.
func (r Retention) reads(id archive.SourceID) bool {
	return slices.ContainsFunc(r.sources, func(s *Source) bool { return s.Archiver != nil && s.Archiver.Source.ID() == id })
}

// Unmerged are the months whose days Merge finds at the end of the next pass.
func (r Retention) Unmerged(ctx context.Context) ([]days.Month, error) {
	before, err := r.dropBefore(ctx, r.clock.Now(), true)
	if err != nil {
		return nil, err
	}
	r.days.UseClock(r.clock)
	return r.days.Unmerged(ctx, before, true)
}

// A Drop is what the next pass drops.
type Drop struct {
	Before time.Time
	Days   []days.OldDay
	Rows   int64
	Bytes  int64
	// Extra days were too old at the last pass already: --retention is new or shorter, or
	// something kept them until now.
	Extra int
}

// Next returns what the next pass drops, if it archives the sources of this process. It is
// nil if no days are dropped.
func (r Retention) Next(ctx context.Context) (*Drop, error) {
	before, err := r.dropBefore(ctx, r.clock.Now(), true)
	if err != nil || before.IsZero() {
		return nil, err
	}
	drop := &Drop{Before: before}
	if drop.Days, err = r.days.Older(ctx, before); err != nil {
		return nil, err
	}
	last, err := r.days.LastPass(ctx)
	if err != nil {
		return nil, err
	}
	if last.After(r.clock.Now()) {
		last = time.Time{} // its clock was ahead: it is not known which days were too old
	}
	if !last.IsZero() {
		if last, err = r.dropBefore(ctx, last, true); err != nil {
			return nil, err
		}
	}
	for _, d := range drop.Days {
		drop.Rows, drop.Bytes = drop.Rows+d.Rows, drop.Bytes+d.Bytes
		if last.IsZero() || d.Day.Before(last.UTC().Truncate(24*time.Hour)) {
			drop.Extra++
		}
	}
	return drop, nil
}

func (d *Drop) String() string {
	return fmt.Sprintf("%d days would be dropped, all before %s: %d rows, %d bytes",
		len(d.Days), d.Before.UTC().Format(time.DateOnly), d.Rows, d.Bytes)
}

// Warning tells of the extra days; empty if there are none.
func (d *Drop) Warning() string {
	if d.Extra == 0 {
		return ""
	}
	return fmt.Sprintf("%d of these days did not become too old since the last pass: check --retention and the clock before you run a pass", d.Extra)
}
