package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/loop"
)

// opened is an archive with the sources that go into it.
type opened struct {
	db      *pg.DB
	sources []*openedSource
	failed  several // why sources could not be opened
	globs   bool    // functions were asked for by name: they need not be of every source
}

// An openedSource is a source with the archiver that reads it.
type openedSource struct {
	*configured
	log *slog.Logger

	// Of a source that cannot be reached yet, archiver is nil, and err says why.
	archiver *loop.Archiver
	err      error
}

// mostConnections bounds what several sources together take of the database,
// which has 100 to give by default.
const mostConnections = 32

// open prepares an archiver of each source, for functions that match the globs
// as well. Close the store that comes with it.
//
// Mistakes in the configuration of any source are an error. A source that
// cannot be signed in to or reached is one where it is the only one; beside
// others it is left to them to go on.
func (in *inForce) open(ctx context.Context, log *slog.Logger, globs ...string) (*opened, error) {
	only, err := matcher(globs)
	if err != nil {
		return nil, err
	}
	address, err := in.databaseURL()
	if err != nil {
		return nil, err
	}
	set, err := in.openSources(ctx, log)
	if err != nil {
		return nil, err
	}
	if len(set.failed) == len(set.sources) {
		return nil, set.failed
	}
	conns, most := 0, 0
	for _, c := range in.sources {
		conns, most = conns+c.flags.Concurrency, max(most, c.flags.Concurrency)
	}
	if !in.sources[0].flags.NoMigrate {
		if err := migrateUp(ctx, address, log); err != nil {
			return nil, err
		}
	}
	set.db, err = pg.Open(ctx, address, max(most, min(conns, mostConnections)), log, pg.Rotated(in.database.Read))
	if err != nil {
		return nil, connectHint(err)
	}
	set.globs = len(globs) > 0
	for _, s := range set.sources {
		s.into(set.db, only)
	}
	return set, nil
}

// openSources opens all sources at once, without a store yet.
func (in *inForce) openSources(ctx context.Context, log *slog.Logger) (*opened, error) {
	set := &opened{}
	var opening sync.WaitGroup
	for _, c := range in.sources {
		s := &openedSource{configured: c, log: log}
		if c.name != "" {
			s.log = log.With("source", c.name)
		}
		set.sources = append(set.sources, s)
		opening.Go(func() { s.err = s.open(ctx) })
	}
	opening.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var wrong, failed several
	for i, s := range set.sources {
		for _, other := range set.sources[:i] {
			// What they are called is known now: by whatever ways they say so, two
			// that are one account do not share functions.
			if s.archiver != nil && other.archiver != nil && s.archiver.Source.ID() == other.archiver.Source.ID() {
				if err := sharing(other.configured, s.configured); err != nil {
					wrong = append(wrong, s.named(err))
				}
			}
		}
		var usage *usageError
		switch {
		case errors.As(s.err, &usage):
			wrong = append(wrong, s.named(s.err))
		case s.err != nil:
			failed = append(failed, s.named(s.err))
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	set.failed = failed
	return set, nil
}

// open signs in to the source.
func (s *openedSource) open(ctx context.Context) error {
	match, err := matcher(s.flags.Functions)
	if err != nil {
		return err
	}
	source, err := s.flags.source(ctx, s.log)
	if err != nil {
		return err
	}
	s.archiver = &loop.Archiver{
		Source: source, Clock: archive.SystemClock{}, Log: s.log,
		Match: match, Settle: s.flags.Settle, Concurrency: s.flags.Concurrency,
	}
	return nil
}

// into says where the archiver archives, and which functions alone.
func (s *openedSource) into(db *pg.DB, only func(archive.Function) bool) {
	if s.archiver == nil {
		return
	}
	match := s.archiver.Match
	s.archiver.Match = func(f archive.Function) bool { return match(f) && only(f) }
	store := load.New(db, days.New(db))
	s.archiver.Store = store
	if m := s.flags.metrics; m != nil {
		s.archiver.Store = m.Store(store, s.flags.Provider)
	}
	if s.flags.Versions == "all" {
		s.archiver.Versions = store
	}
}

// named is an error with the name of the source, where it has one.
func (of *configured) named(err error) error {
	if of.name == "" || err == nil {
		return err
	}
	return fmt.Errorf("source %s: %w", of.name, err)
}

// each does the work for every source at the same time. What one of several
// prints begins with its name, line by line. None is stopped by the errors of
// another; the error that is returned has all of them.
func (o *opened) each(ctx context.Context, s streams, work func(context.Context, *openedSource, streams) error) error {
	if len(o.sources) == 1 {
		only := o.sources[0]
		return only.named(work(ctx, only, s))
	}
	errs := make([]error, len(o.sources))
	var working sync.WaitGroup
	var printing sync.Mutex
	for i, source := range o.sources {
		working.Go(func() {
			out := &prefixed{to: s.out, mu: &printing, prefix: source.name + ": "}
			defer out.end()
			if source.archiver == nil {
				errs[i] = source.err
				source.log.Error("source cannot be opened", archive.ErrorKeys(source.err)...)
				return
			}
			// No bar: several would draw over one another. And so the log has the
			// run's end.
			errs[i] = work(ctx, source, streams{s.in, out, struct{ io.Writer }{s.err}})
		})
	}
	working.Wait()
	var failed several
	elsewhere := 0
	for i, err := range errs {
		if err != nil {
			failed = append(failed, o.sources[i].named(err))
		}
		if o.elsewhere(err) {
			elsewhere++
		}
	}
	if elsewhere < len(o.sources) {
		failed = slices.DeleteFunc(failed, o.elsewhere)
	}
	if len(failed) == 0 {
		return nil
	}
	return failed
}

// elsewhere reports whether a source had none of the functions that were asked
// for by name: another one may have them.
func (o *opened) elsewhere(err error) bool { return o.globs && errors.Is(err, errNoFunction) }

// prefixed writes whole lines that begin with a prefix.
type prefixed struct {
	to     io.Writer
	mu     *sync.Mutex // of all that write to the same
	prefix string
	begun  []byte // a line without its end
}

func (p *prefixed) Write(b []byte) (int, error) {
	p.begun = append(p.begun, b...)
	end := bytes.LastIndexByte(p.begun, '\n') + 1
	var lines strings.Builder
	for line := range bytes.Lines(p.begun[:end]) {
		lines.WriteString(p.prefix)
		lines.Write(line)
	}
	p.begun = append(p.begun[:0], p.begun[end:]...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.to, lines.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// end ends the last line.
func (p *prefixed) end() {
	if len(p.begun) > 0 {
		fmt.Fprintln(p)
	}
}

// several are errors of which each is told.
type several []error

func (s several) Error() string {
	texts := make([]string, len(s))
	for i, err := range s {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap makes errors.Is and errors.As see each.
func (s several) Unwrap() []error { return s }
