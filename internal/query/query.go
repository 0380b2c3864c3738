// Package query answers archiver query: it finds the function that is meant, looks
// up its invocations at the source or in the archive, and prints them.
//
//	query.go      a request, answered by the source or by the archive
//	function.go   which function is meant
//	json.go       answers for programs
//	table.go      answers for people
package query

import (
	"context"
	"fmt"
	"io"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/load/read"
	"archiver/internal/lookup"
	"archiver/internal/sources"
	"archiver/internal/terminal"
)

// A Request asks for invocations of one function.
type Request struct {
	Function string // a URN, a name, or a glob that matches one function alone
	Question archive.Question
	Timeless bool // the user gave neither a begin nor an end
	Limit    int  // only the newest, newest first; 0 for all
	Ahead    int  // pages that the source is asked for before their turn
	JSON     bool

	Out   io.Writer // for the answer
	Notes io.Writer // for what the answer does not show
}

// Note prints a line about the answer.
func Note(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, terminal.Line(fmt.Sprintf(format, args...)))
}

func (r *Request) note(format string, args ...any) { Note(r.Notes, format, args...) }

// FromSource asks a source.
func (r *Request) FromSource(ctx context.Context, source archive.Source) error {
	f, err := r.sourceFunction(ctx, source)
	if err != nil {
		return err
	}
	out := r.printer(f.URN)
	found, err := lookup.Live(ctx, source, lookup.Asked{Function: f, Question: r.Question, Limit: r.Limit, Ahead: r.Ahead}, out.show)
	if err = r.end(out, found, err); err != nil {
		return err
	}
	r.noteFound(found, f.URN)
	if found.Shown == 0 {
		r.note("archiver check says whether the source keeps records of it")
		if r.Question.RequestID != "" && r.Timeless && source.ID().Provider == functioncompute.Provider {
			r.note("Function Compute finds a request only by its invocation id, which its caller may have chosen: with --from and --to, all records of that time are searched")
		}
	}
	return nil
}

// FromArchive asks the archive.
func (r *Request) FromArchive(ctx context.Context, reader *read.Archive) error {
	same, err := archivedFunction(ctx, reader, r.Function)
	if err != nil {
		return err
	}
	f := same[0]
	if r.Question.Statuses, err = sources.Statuses(f.Source.Provider, r.Question.Statuses); err != nil {
		return err
	}
	ids := make([]int32, len(same))
	for i := range same {
		ids[i] = same[i].ID
	}
	out := r.printer(f.URN)
	found, err := r.show(ctx, reader, ids, out)
	if err = r.end(out, found, err); err != nil {
		return err
	}
	r.noteFound(found, f.URN)
	if f.LatestURN != "" && found.Shown == 0 {
		r.note("a record that several versions list is archived once, mostly as %s", f.LatestURN)
	}
	return r.noteIncomplete(ctx, reader, ids)
}

// show prints what the archive has.
func (r *Request) show(ctx context.Context, reader *read.Archive, ids []int32, out printer) (found lookup.Found, err error) {
	limit := r.Limit
	if limit > 0 {
		limit++ // one more tells whether there are more
	}
	for inv, err := range reader.Lookup(ctx, ids, r.Question, limit) {
		if err != nil {
			return found, err
		}
		if r.Limit > 0 && found.Shown == r.Limit {
			found.More = true
			return found, nil
		}
		if err := out.show(inv); err != nil {
			return found, err
		}
		found.Shown++
	}
	return found, nil
}

// end ends the printed answer, and notes that it is not whole if there was an
// error.
func (r *Request) end(out printer, found lookup.Found, err error) error {
	if failed := out.end(err == nil); err == nil {
		return failed
	}
	if found.Shown > 0 {
		r.note("these are not all: the answer ended with an error")
	}
	return err
}

// noteFound notes what the answer does not show.
func (r *Request) noteFound(found lookup.Found, urn string) {
	if found.Shown == 0 {
		r.note("no invocation of %s matches", urn)
	}
	if found.More {
		r.note("these are the newest %d, there are more: --limit 0 for all", found.Shown)
	}
	if found.Outside > 0 {
		r.note("%d more came back that did not start in that time: the source goes by another time as well, ask for a longer time", found.Outside)
	}
	if found.Rejected > 0 {
		r.note("%d more came back that cannot be shown: %s", found.Rejected, found.Reason)
	}
	if found.Missing > 0 {
		r.note("the source counts %d more than it gave: its list changed while it was read, ask again", found.Missing)
	}
}

// noteIncomplete notes how many hours of the answer are not complete in the archive.
func (r *Request) noteIncomplete(ctx context.Context, reader *read.Archive, ids []int32) error {
	from, to := r.Question.From, r.Question.To
	if from.IsZero() || to.IsZero() {
		return nil
	}
	hours := int(archive.WindowOf(to.Add(-time.Nanosecond)).Sub(archive.WindowOf(from))/archive.Hour) + 1
	complete, err := reader.Complete(ctx, ids, from, to)
	if err != nil {
		return err
	}
	if complete < hours {
		r.note("%d of these %d hours are not complete in the archive: archiver status says why", hours-complete, hours)
	}
	return nil
}
