package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/loop"
	"archiver/internal/terminal"
)

// settled returns the order without the hours that have not settled by the slowest clock, and
// prints that the clocks differ. If they differ too much for a pass, the error is a
// *archive.ClockError.
func settled(ctx context.Context, archiver *loop.Archiver, o archive.Order, out io.Writer) (archive.Order, error) {
	clocks, err := archiver.Clocks(ctx)
	if err == nil {
		err = clocks.Check(archiver.Settle)
	}
	if doubt := clocks.Doubt(archiver.Settle); doubt != "" && err == nil {
		fmt.Fprintln(out, doubt)
	}
	if due := archive.DueBefore(clocks.Slowest(), archiver.Settle); o.Range.To.After(due) {
		o.Range.To = due
	}
	if o.Range.To.Before(o.Range.From) {
		o.Range.To = o.Range.From
	}
	return o, err
}

// DryRun prints what a pass of a source would read. It asks the source for
// nothing, so it knows only the functions in the archive. If there are none, it is
// DryBackfill.
func (set *Set) DryRun(ctx context.Context, s *Source, o archive.Order, out io.Writer) error {
	archiver := s.Archiver
	known, _, err := set.knownFunctions(ctx, archiver)
	if err != nil {
		return err
	}
	if len(known) == 0 {
		return set.DryBackfill(ctx, s, o, out)
	}
	if o, err = settled(ctx, archiver, o, out); err != nil {
		return err
	}
	due, err := set.store.Due(ctx, known, o, archiver.Clock.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s; %d functions are known\n", dueLine(due, o), len(known))
	return set.sayEstimate(ctx, s, due, o, false, false, out)
}

// sayEstimate prints what reading the due windows takes; see estimate.
func (set *Set) sayEstimate(ctx context.Context, s *Source, due []archive.Due, o archive.Order, empty, ask bool, out io.Writer) error {
	if !slices.ContainsFunc(due, func(d archive.Due) bool { return d.Windows > 0 }) {
		return nil
	}
	e, err := set.estimate(ctx, s, due, o, empty, ask)
	if err != nil {
		return err
	}
	pace, err := e.pace(ctx, set, empty)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, e.line(pace))
	return nil
}

// DryBackfill prints what a backfill of a source would read, and estimates what it takes. It
// asks the source only for its list of functions and for counts, and writes nothing. All hours
// of a function that is not in the archive are due.
func (set *Set) DryBackfill(ctx context.Context, s *Source, o archive.Order, out io.Writer) error {
	archiver := s.Archiver
	asked := o.Range
	functions, empty, err := set.knownFunctions(ctx, archiver)
	if err != nil {
		return err
	}
	known := len(functions)
	seen := make(map[string]bool, known)
	for _, f := range functions {
		seen[f.URN] = true
	}
	see := func(found []archive.Function) {
		for _, f := range found {
			if !seen[f.URN] && archiver.Match(f) {
				seen[f.URN] = true
				// No function of the archive has a negative number.
				functions = append(functions, archive.Known{ID: int32(-1 - len(functions)), Function: f})
			}
		}
	}
	before := archiver.Source.Stats().Calls
	see(archiver.Named)
	for page, err := range archiver.Source.Functions(ctx) {
		var notWhole *archive.ListError
		switch {
		case errors.As(err, &notWhole):
			fmt.Fprintln(out, notWhole)
		case errors.Is(err, archive.ErrDenied) && len(archiver.Named) > 0:
			fmt.Fprintf(out, "functions cannot be listed, %d are named: %v\n", len(archiver.Named), terminal.Line(err.Error()))
		case err != nil:
			return fmt.Errorf("list functions: %w", err)
		}
		see(page)
	}
	listed := archiver.Source.Stats().Calls - before
	// The source's answers said what time it is there.
	if o, err = settled(ctx, archiver, o, out); err != nil {
		return err
	}
	if len(functions) == 0 {
		return archive.ErrNoFunction
	}
	var due []archive.Due
	switch {
	case !empty:
		if due, err = set.store.Due(ctx, functions, o, archiver.Clock.Now()); err != nil {
			return err
		}
	case o.Range.Windows() > 0:
		for _, f := range functions {
			due = append(due, archive.Due{Known: f, Windows: o.Range.Windows(), Oldest: o.Range.From})
		}
	}
	fmt.Fprintf(out, "%s; %d functions match, %d of them are known\n", dueLine(due, o), len(functions), known)
	fmt.Fprintf(out, "that takes at least %d calls, and more where the records of a function fill more than a page\n", listed+leastCalls(due))
	if err := set.sayEstimate(ctx, s, due, o, empty, true, out); err != nil {
		return err
	}
	if left := (asked.Windows() - o.Range.Windows()) * len(functions); left > 0 {
		fmt.Fprintf(out, "%d windows have not settled yet, and would be left out\n", left)
	}
	return nil
}

// knownFunctions returns the functions of the archive that match, with their versions. empty
// says that there is no archive yet.
func (set *Set) knownFunctions(ctx context.Context, archiver *loop.Archiver) (known []archive.Known, empty bool, err error) {
	switch err := read.New(set.DB).Ping(ctx); {
	case errors.Is(err, pg.ErrNoSchema):
		return nil, true, nil
	case err != nil:
		return nil, false, ConnectHint(err)
	}
	now := archiver.Clock.Now()
	if known, err = set.store.UnseenFunctions(ctx, archiver.Source.ID(), now, archiver.SourceRetention); err != nil {
		return nil, false, err
	}
	known = slices.DeleteFunc(known, func(f archive.Known) bool { return !archiver.Match(f.Function) })
	versions, err := archiver.KnownVersions(ctx, known)
	return append(known, versions...), false, err
}

// dueLine tells what would be read.
func dueLine(due []archive.Due, o archive.Order) string {
	windows, functions, waiting := 0, 0, 0
	oldest := o.Range.To
	for _, d := range due {
		waiting += d.Waiting
		if d.Windows == 0 {
			continue // only records in flight or counts are due
		}
		windows, functions = windows+d.Windows, functions+1
		if d.Oldest.Before(oldest) {
			oldest = d.Oldest
		}
	}
	line := fmt.Sprintf("%d windows of %d functions are due and would be read", windows, functions)
	if windows > 0 {
		line += ", the oldest of " + oldest.UTC().Format(time.RFC3339)
	}
	if waiting > 0 {
		line += fmt.Sprintf("; %d windows that failed before wait", waiting)
	}
	return line
}

// leastCalls returns the least number of calls that read what is due: if the hours
// of each function are adjacent, and each span is one page.
func leastCalls(due []archive.Due) (calls int64) {
	for _, d := range due {
		hours := make([]time.Time, d.Windows)
		for i := range hours {
			hours[i] = d.Oldest.Add(time.Duration(i) * archive.Hour)
		}
		calls += int64(len(archive.Spans(hours)))
	}
	return calls
}

// DryDrop prints which days a pass would drop.
func (set *Set) DryDrop(ctx context.Context, clock archive.Clock, out io.Writer) error {
	if errors.Is(read.New(set.DB).Ping(ctx), pg.ErrNoSchema) {
		return nil
	}
	drop, err := set.Retention(clock).Next(ctx)
	if err != nil || drop == nil {
		return err
	}
	table := terminal.Table{Columns: terminal.Heads("DAY", "PARTITION", "ROWS", "BYTES")}
	for _, o := range drop.Days {
		table.Add(o.String(), cmp.Or(o.Partition, "-"), fmt.Sprint(o.Rows), fmt.Sprint(o.Bytes))
	}
	if err := table.Write(out, 0); err != nil {
		return fmt.Errorf("print what would be dropped: %w", err)
	}
	fmt.Fprintln(out, drop)
	if warning := drop.Warning(); warning != "" {
		fmt.Fprintln(out, warning)
	}
	return nil
}
