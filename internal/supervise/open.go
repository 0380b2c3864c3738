// Package supervise archives several sources into one database. It opens each
// source, gives each a goroutine of its own, and lets no source stop another.
//
//	open.go         the sources and the database
//	database.go     the database: for reading, and its schema
//	archive.go      one run of one source, with its progress and its last line
//	summary.go      the last line of a run
//	each.go         one run of every source: once, backfill, verify
//	ticks.go        runs at the ticks of each source's schedule: run
//	maintenance.go  figures, old days and statistics, after runs
//	retention.go    which days may be dropped
//	estimate.go     how many rows, bytes and calls a run would take, and how long
//	dryrun.go       what a run would read, and which days it would drop
package supervise

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/loop"
	"archiver/internal/metrics"
	"archiver/internal/settings"
	"archiver/internal/sources"
)

// A Set is a database and the sources that are archived into it.
type Set struct {
	DB      *pg.DB
	Sources []*Source

	// All sources share the store, which gathers their writes, and the days.
	store *load.Store
	days  *days.Days

	order  func(*Source) archive.Order // of the next run of a source; nil if the command makes none
	byName bool                        // functions were asked for by name: not every source must have them
}

// A Source is a source and the archiver that reads it.
type Source struct {
	settings.Source
	Log *slog.Logger

	// Archiver is nil if the source could not be opened; Err says why. The
	// archiver has no store until the Set is open.
	Archiver *loop.Archiver
	Err      error

	metrics  *metrics.Metrics // nil if no metrics are served
	patience time.Duration    // with the database
}

// Options say how a Set is opened.
type Options struct {
	Log       *slog.Logger
	Metrics   *metrics.Metrics // that count calls and windows; nil for none
	Migrate   bool             // bring the schema up first
	Functions []string         // globs: only these functions; none for all

	// Order returns the order of the next run of a source: a source that cannot be opened
	// has failed this run. It is nil for a command that makes no run.
	Order func(*Source) archive.Order

	// DatabasePatience is how long a run waits for a database in trouble; run waits until
	// its next tick. With 0, a run ends with the first trouble.
	DatabasePatience time.Duration
}

// maxConnections bounds the connections of several sources together. PostgreSQL
// permits 100 by default, to all of its clients.
const maxConnections = 32

// Open opens the sources and then the database. Close the database of the set.
//
// A mistake in the settings of any source is an error. A source that cannot be
// signed in to is an error only if no source can: the others are archived.
func Open(ctx context.Context, s *settings.Settings, o Options) (*Set, error) {
	address, err := s.DatabaseURL()
	if err != nil {
		return nil, err
	}
	opened, err := OpenSources(ctx, s, o)
	if err != nil {
		return nil, err
	}
	var failed settings.Errors
	sum, most := 0, 0
	for _, source := range opened {
		if source.Err != nil {
			failed = append(failed, source.Named(source.Err))
		}
		sum, most = sum+source.Concurrency, max(most, source.Concurrency)
	}
	if len(failed) == len(opened) && o.Order == nil {
		return nil, failed
	}
	set, err := openDatabase(ctx, s, o, address, max(most, min(sum, maxConnections)), opened[0].Schedule != "")
	switch {
	case len(failed) < len(opened) && err != nil:
		return nil, err
	case err != nil:
		return nil, append(failed, err)
	}
	set.Sources = opened
	for _, source := range opened {
		if source.Err != nil {
			set.noteNotOpened(ctx, source)
		}
	}
	if len(failed) == len(opened) {
		set.DB.Close()
		return nil, failed
	}
	go set.DB.WatchLocks(ctx, archive.SystemClock{}, pg.LongWait)
	for _, source := range opened {
		source.archiveInto(set, o.Functions)
	}
	return set, nil
}

// openDatabase opens the database of the sources, with so many connections. It waits for a
// database that is away: for --database-patience, or for ever.
func openDatabase(ctx context.Context, s *settings.Settings, o Options, address string, connections int, forever bool) (*Set, error) {
	var db *pg.DB
	wait := databaseWait{Clock: archive.SystemClock{}, Log: o.Log, longest: o.DatabasePatience, forever: forever}
	err := wait.until(ctx, func() (err error) {
		if o.Migrate {
			if err := MigrateUp(ctx, address, o.Log, connecting(s)...); err != nil {
				return err
			}
		}
		db, err = pg.Open(ctx, address, connections, o.Log, connecting(s)...)
		return ConnectHint(err)
	})
	if err != nil {
		return nil, err
	}
	if err := db.Known(ctx); err != nil {
		db.Close()
		return nil, err
	}
	set := &Set{DB: db, days: days.New(db), byName: len(o.Functions) > 0, order: o.Order}
	set.days.UseClock(archive.SystemClock{})
	set.store = load.New(db, set.days)
	return set, nil
}

// noteNotOpened notes a run that failed because its source could not be opened.
func (set *Set) noteNotOpened(ctx context.Context, s *Source) {
	if set.order == nil {
		return
	}
	o := set.order(s)
	o.Source.ID, o.Source.Name, o.Source.Retention = sources.Configured(&s.Source), sources.Name(&s.Source), s.SourceRetention
	now := archive.SystemClock{}.Now()
	id, err := set.store.BeginRun(ctx, o, now)
	if err == nil {
		err = set.store.EndRun(ctx, id, archive.Summary{Range: o.Range}, s.Err, now)
	}
	if err != nil {
		s.Log.Warn("a source could not be opened, and the archive does not know", "error", err)
	}
}

// OpenSources opens all sources at the same time, without the database. A source
// that cannot be signed in to has an Err. Mistakes in the settings are an error.
func OpenSources(ctx context.Context, s *settings.Settings, o Options) ([]*Source, error) {
	var opened []*Source
	var opening sync.WaitGroup
	for _, of := range s.Sources {
		source := &Source{Source: of, Log: o.Log, metrics: o.Metrics, patience: o.DatabasePatience}
		if of.Name != "" {
			source.Log = o.Log.With("source", of.Name)
		}
		opened = append(opened, source)
		opening.Go(func() { source.Err = source.open(ctx) })
	}
	opening.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var mistakes settings.Errors
	for i, a := range opened {
		for _, b := range opened[:i] {
			// The settings of two sources may name one account in different ways. The
			// source's id tells.
			if a.Archiver != nil && b.Archiver != nil && a.Archiver.Source.ID() == b.Archiver.Source.ID() {
				if err := settings.SharedFunctions(&b.Source, &a.Source); err != nil {
					mistakes = append(mistakes, a.Named(err))
				}
			}
		}
		var usage *settings.UsageError
		if errors.As(a.Err, &usage) {
			mistakes = append(mistakes, a.Named(a.Err))
		}
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return opened, nil
}

// open signs in to the source.
func (s *Source) open(ctx context.Context) error {
	var observe func(outcome string, took time.Duration)
	if s.metrics != nil {
		observe = s.metrics.Call(sources.Name(&s.Source))
	}
	source, err := sources.Open(ctx, &s.Source, observe, s.Log)
	if err != nil {
		return err
	}
	s.Archiver = &loop.Archiver{
		Source: source, Name: sources.Name(&s.Source), Clock: archive.SystemClock{}, Log: s.Log,
		Settle: s.Settle, IgnoreClocks: s.IgnoreClocks, SourceRetention: s.SourceRetention, Concurrency: s.Concurrency,
		DatabasePatience: sources.BeforeTick(s.Schedule),
	}
	if s.Schedule == "" && s.patience > 0 {
		s.Archiver.DatabasePatience = func(since time.Time) time.Time { return since.Add(s.patience) }
	}
	s.pick(nil)
	return nil
}

// WarnOfRange logs which hours of a range cannot become complete: those that have not ended,
// and those that a source has most likely forgotten.
func (set *Set) WarnOfRange(asked archive.Span, now time.Time) {
	for _, s := range set.Sources {
		if ended := archive.WindowOf(now); asked.To.After(ended) {
			s.Log.Warn("the range has hours that have not ended, they are left out", "from", ended.Format(time.RFC3339), "to", asked.To.Format(time.RFC3339))
		}
		if kept := archive.WindowOf(now.Add(-s.SourceRetention)); s.SourceRetention > 0 && asked.From.Before(kept) {
			if asked.To.Before(kept) {
				kept = asked.To
			}
			s.Log.Warn("the source has most likely forgotten hours of the range: it keeps records for "+
				settings.DurationText(s.SourceRetention)+" (--source-retention)", "from", asked.From.Format(time.RFC3339), "to", kept.Format(time.RFC3339))
		}
	}
}

// pick sets which functions are archived: those that the settings pick, and of these
// only those that the globs in only pick. Globs that are a whole URN name a function; if
// they leave out the version, they pick it by the URN that the source lists as well.
func (s *Source) pick(only []string) {
	var named []archive.Function
	source, ok := s.Archiver.Source.(archive.NamingSource)
	listed := func(globs []string) []string {
		all := slices.Clone(globs)
		for _, glob := range globs {
			if !ok || !settings.IsName(glob) {
				continue
			}
			if f, is := source.Named(glob); is {
				all, named = append(all, f.URN), append(named, f)
			}
		}
		return all
	}
	functions := listed(s.Functions)
	s.Archiver.Wanted = func(f archive.Function) bool { return settings.Match(functions, f) }
	only = listed(only)
	s.Archiver.Match = func(f archive.Function) bool { return settings.Match(functions, f) && settings.Match(only, f) }
	s.Archiver.Named = nil
	for _, f := range named {
		if s.owns(f.URN) && s.Archiver.Match(f) && !slices.Contains(s.Archiver.Named, f) {
			s.Archiver.Named = append(s.Archiver.Named, f)
		}
	}
}

// owns reports whether a URN belongs to the source, and not to another source of the
// configuration file. The third and fourth part of a URN are its region and account.
func (s *Source) owns(urn string) bool {
	id, parts := s.Archiver.Source.ID(), strings.SplitN(urn, ":", 5)
	return s.Name == "" || parts[2] == cmp.Or(id.Region, parts[2]) && parts[3] == cmp.Or(id.ProjectID, parts[3])
}

// archiveInto sets the store of the archiver. only are globs: further functions are
// not archived.
func (s *Source) archiveInto(set *Set, only []string) {
	if s.Archiver == nil {
		return
	}
	s.pick(only)
	s.Archiver.Store, s.Archiver.StoreAhead = set.store, set.DB.Ahead
	if s.metrics != nil {
		s.Archiver.Store = s.metrics.Store(set.store, s.Archiver.Name)
	}
	if s.Versions == "all" {
		s.Archiver.Versions = set.store
	}
}
