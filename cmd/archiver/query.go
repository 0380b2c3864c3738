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
	"archiver/internal/load/read"
	"archiver/internal/query"
	"archiver/internal/settings"
	"archiver/internal/sources"
	"archiver/internal/supervise"
)

// queryCommand looks up invocations of one function.
type queryCommand struct {
	settings.ArchiveFlags
	Function  string   `required:"" placeholder:"URN" help:"The function: its URN, its name, or a glob that matches only one."`
	From      instant  `placeholder:"TIME" help:"Only invocations that started at this time or later: RFC 3339 or a date; UTC without a zone. Default an hour before --to."`
	To        instant  `placeholder:"TIME" help:"Only invocations that started before this time. Default now."`
	Status    []string `placeholder:"STATUS" help:"Only WAIT, RUNNING, SUCCESS, FAIL or DISCARD, or the source's own word; repeatable."`
	RequestID string   `placeholder:"ID" help:"Only this request. Without times, the source is searched for 31 days back, the archive as a whole."`
	Limit     *int     `placeholder:"N" help:"At most the newest N, newest first; 0 for all, as the source lists them. Default 1000, with --json 0."`
	Archived  bool     `help:"Ask the archive in place of the source: needs DATABASE_URL, and no credentials."`
	JSON      bool     `name:"json" help:"For programs: an array, one element a line."`
}

const (
	// queryHour is the time asked for by default, as the API does it (page: Querying
	// Asynchronous Invocation Requests, query_begin_time).
	queryHour = time.Hour

	// queryReach is how far back one request is looked for by default. It is also the
	// longest time of one query when hours are archived.
	queryReach = 31 * 24 * time.Hour

	// queryLimit is the default limit of a table, which stays readable.
	queryLimit = 1000
)

// An instant is a flag that names a time.
type instant struct{ time.Time }

// UnmarshalText reads a time.
func (i *instant) UnmarshalText(text []byte) (err error) {
	if i.Time, err = settings.ParseTime(string(text)); err == nil && i.Year() < 1970 {
		return fmt.Errorf("%s is before 1970", text)
	}
	// The archive keeps microseconds.
	i.Time = i.Truncate(time.Microsecond)
	return err
}

func (c *queryCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	question, err := c.question(time.Now().UTC(), s.err)
	if err != nil {
		return err
	}
	r := query.Request{
		Function: c.Function, Question: question, Timeless: c.From.IsZero() && c.To.IsZero(),
		Limit: queryLimit, Ahead: c.Concurrency - 1, JSON: c.JSON, Out: s.out, Notes: s.err,
	}
	switch {
	case c.Limit != nil && *c.Limit < 0:
		return settings.Usagef("--limit %d is less than none: 0 is for all", *c.Limit)
	case c.Limit != nil:
		r.Limit = *c.Limit
	case c.JSON:
		r.Limit = 0
	}
	log := c.Logger(s.err)
	if c.Archived {
		db, err := supervise.OpenReader(ctx, in, log)
		if err != nil {
			return err
		}
		defer db.Close()
		return supervise.ConnectHint(r.FromArchive(ctx, read.New(db)))
	}
	if len(in.Sources) > 1 {
		names := make([]string, len(in.Sources))
		for i := range in.Sources {
			names[i] = in.Sources[i].Name
		}
		return settings.Usagef("one source is asked at a time: pick it with --source, of %s", strings.Join(names, ", "))
	}
	if r.Question.Statuses, err = sources.Statuses(in.Sources[0].Provider, r.Question.Statuses); err != nil {
		return err
	}
	opened, err := supervise.OpenSources(ctx, in, supervise.Options{Log: log})
	if err != nil {
		return err
	}
	if opened[0].Err != nil {
		return opened[0].Named(opened[0].Err)
	}
	return r.FromSource(ctx, opened[0].Archiver.Source)
}

// question returns what the flags ask for. It notes which times it assumes.
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
		// Includes records that began in this second.
		q.To = now.Truncate(time.Second).Add(time.Second)
	}
	switch {
	case timeless && q.RequestID != "":
		q.From = q.To.Add(-queryReach)
		query.Note(notes, "no --from and --to: looked for from %s on", q.From.Format(time.RFC3339))
	case q.From.IsZero():
		q.From = q.To.Add(-queryHour)
		query.Note(notes, "no --from: asked for the hour from %s to %s", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	if !q.From.Before(q.To) {
		return q, settings.Usagef("--from %s is not before --to %s", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	return q, nil
}
