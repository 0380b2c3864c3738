package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"archiver/internal/archive"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/lookup"
	"archiver/internal/settings"
	"archiver/internal/sources"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// queryCommand looks up invocations of one function.
type queryCommand struct {
	settings.ArchiveFlags
	Function  string   `required:"" placeholder:"URN" help:"The function: its URN, its name, or a glob that matches one alone."`
	From      instant  `placeholder:"TIME" help:"Those that started then or later: RFC 3339 or a date; UTC without a zone. Default an hour before --to."`
	To        instant  `placeholder:"TIME" help:"Those that started before that. Default now."`
	Status    []string `placeholder:"STATUS" help:"Only WAIT, RUNNING, SUCCESS, FAIL or DISCARD, or the source's own word; repeatable."`
	RequestID string   `placeholder:"ID" help:"Only this one. Without times it is looked for in the last 31 days, in the archive whenever it was."`
	Limit     *int     `placeholder:"N" help:"The newest N at most, newest first; 0 for all, as the source lists them. Default 1000, with --json 0."`
	Archived  bool     `help:"Ask the archive in place of the source: needs DATABASE_URL, and no credentials."`
	JSON      bool     `name:"json" help:"For programs: an array, an element a line."`
}

const (
	// queryHour is what is asked for without times (page: Querying Asynchronous
	// Invocation Requests, query_begin_time).
	queryHour = time.Hour

	// queryReach is how far back one request is looked for where no time is given:
	// as far as one query ever reaches when hours are archived.
	queryReach = 31 * 24 * time.Hour

	// queryLimit keeps a table readable.
	queryLimit = 1000
)

// An instant is a flag that names a time.
type instant struct{ time.Time }

// UnmarshalText reads one.
func (i *instant) UnmarshalText(text []byte) (err error) {
	if i.Time, err = settings.ParseTime(string(text)); err == nil && i.Year() < 1970 {
		return fmt.Errorf("%s is before 1970", text)
	}
	// The archive keeps microseconds.
	i.Time = i.Truncate(time.Microsecond)
	return err
}

// Run is called by the command line.
func (c *queryCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	q, err := c.question(time.Now().UTC(), s.err)
	if err != nil {
		return err
	}
	limit := queryLimit
	switch {
	case c.Limit != nil && *c.Limit < 0:
		return settings.Usagef("--limit %d is less than none: 0 is for all", *c.Limit)
	case c.Limit != nil:
		limit = *c.Limit
	case c.JSON:
		limit = 0
	}
	if c.Archived {
		return c.ofArchive(ctx, in, q, limit, s)
	}
	return c.ofSource(ctx, in, q, limit, s)
}

// question is what the flags ask for, at a time.
func (c *queryCommand) question(now time.Time, notes io.Writer) (q archive.Question, err error) {
	q = archive.Question{From: c.From.Time, To: c.To.Time, RequestID: c.RequestID}
	if n := utf8.RuneCountInString(q.RequestID); n > archive.MaxRequestID {
		return q, settings.Usagef("--request-id has %d characters: no request id has more than %d", n, archive.MaxRequestID)
	}
	q.Statuses = slices.Compact(slices.Sorted(slices.Values(c.Status)))
	timeless := q.From.IsZero() && q.To.IsZero()
	if timeless && q.RequestID != "" && c.Archived {
		return q, nil
	}
	if q.To.IsZero() {
		// What began in this second is in it.
		q.To = now.Truncate(time.Second).Add(time.Second)
	}
	switch {
	case timeless && q.RequestID != "":
		q.From = q.To.Add(-queryReach)
		note(notes, "no --from and --to: looked for from %s on", q.From.Format(time.RFC3339))
	case q.From.IsZero():
		q.From = q.To.Add(-queryHour)
		note(notes, "no --from: asked for the hour from %s to %s", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	if !q.From.Before(q.To) {
		return q, settings.Usagef("--from %s is not before --to %s", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	return q, nil
}

// note says something beside the answer.
func note(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, terminal.Line(fmt.Sprintf(format, args...)))
}

// ofSource asks the source.
func (c *queryCommand) ofSource(ctx context.Context, in *settings.Settings, q archive.Question, limit int, s streams) error {
	if len(in.Sources) > 1 {
		names := make([]string, len(in.Sources))
		for i := range in.Sources {
			names[i] = in.Sources[i].Name
		}
		return settings.Usagef("one source is asked at a time: pick it with --source, of %s", strings.Join(names, ", "))
	}
	provider := in.Sources[0].Provider
	var err error
	if q.Statuses, err = sources.Statuses(provider, q.Statuses); err != nil {
		return err
	}
	opened, err := supervise.OpenSources(ctx, in, supervise.Options{Log: c.Logger(s.err)})
	if err != nil {
		return err
	}
	if opened[0].Err != nil {
		return opened[0].Named(opened[0].Err)
	}
	source := opened[0].Archiver.Source
	f, err := sourceFunction(ctx, source, c.Function, s.err)
	if err != nil {
		return err
	}
	out := c.printer(s, f.URN)
	found, err := lookup.Live(ctx, source, lookup.Asked{Function: f, Question: q, Limit: limit, Ahead: c.Concurrency - 1}, out.show)
	if err = ended(out, found, err, s.err); err != nil {
		return err
	}
	tell(s.err, found, f.URN)
	if found.Shown == 0 {
		note(s.err, "archiver check says whether the source keeps records of it")
	}
	if found.Shown == 0 && q.RequestID != "" && c.From.IsZero() && c.To.IsZero() && provider == functioncompute.Provider {
		note(s.err, "Function Compute finds a request by its invocation id alone, which its caller may have chosen: --from and --to have all of that time looked through")
	}
	return nil
}

// ended ends what is printed, and says where that is not all.
func ended(out printer, found lookup.Found, err error, notes io.Writer) error {
	if shown := out.end(err == nil); err == nil {
		return shown
	}
	if found.Shown > 0 {
		note(notes, "these are not all: the answer ended with an error")
	}
	return err
}

// tell says what the answer does not show.
func tell(w io.Writer, found lookup.Found, urn string) {
	if found.Shown == 0 {
		note(w, "no invocation of %s matches", urn)
	}
	if found.More {
		note(w, "these are the newest %d, there are more: --limit 0 for all", found.Shown)
	}
	if found.Outside > 0 {
		note(w, "%d more came back that did not start in that time: the source goes by another time as well, ask for more of it", found.Outside)
	}
	if found.Rejected > 0 {
		note(w, "%d more came back that cannot be shown: %s", found.Rejected, found.Reason)
	}
	if found.Missing > 0 {
		note(w, "the source counts %d more than it gave: its list changed meanwhile, ask again", found.Missing)
	}
}
