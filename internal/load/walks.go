package load

import (
	_ "embed" // statements
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// note adds to the changes what a page does to the windows of its walk.
func (c *claim) note(windows *windowChanges, b *archive.Batch) {
	switch {
	case b.Outcome != nil:
		windows.decide(c.function.ID, b.Walk.Span, *b.Outcome, b.At)
	case !c.openWalks[b.Walk.Span]:
		windows.begin(c.function.ID, b.Walk.Span, b.At)
	}
}

const closeWalks = `
	DELETE FROM walks w
	 USING unnest($1::integer[], $2::timestamptz[]) AS c (function_id, span_from)
	 WHERE w.function_id = c.function_id AND w.span_from = c.span_from`

//go:embed upsertwalks.sql
var upsertWalks string

// replaced reports whether a checkpoint replaces an open walk: two walks of the same hours
// are never open at once.
func replaced(open archive.Span, b *archive.Batch) bool {
	goesOn := b.Outcome == nil && len(b.Pieces) == 0
	return open.Overlaps(b.Walk.Span) && !(goesOn && open == b.Walk.Span)
}

// queueWalks stores the cursors of walks, and closes walks that have ended. A span that
// is cut leaves a walk for each piece, so that the next run reads the same pieces. If a
// walk is closed that reaches further than the checkpoint, its other hours are due again.
func queueWalks(batch *pgx.Batch, writes []*write) {
	var closed, opened walkRows
	for _, w := range writes {
		b := w.batch
		if !w.checkpoint {
			continue
		}
		for open := range w.claim.openWalks {
			if replaced(open, b) {
				closed.add(w.claim, archive.Walk{Span: open})
			}
		}
		if b.Outcome == nil && len(b.Pieces) == 0 {
			opened.add(w.claim, b.Walk)
		}
		for _, s := range b.Pieces {
			opened.add(w.claim, archive.Walk{Span: s})
		}
	}
	if len(closed.functions) > 0 {
		batch.Queue(closeWalks, closed.functions, closed.from)
	}
	if len(opened.functions) > 0 {
		batch.Queue(upsertWalks, pg.Args{
			"functions": opened.functions, "from": opened.from, "to": opened.to,
			"cursors": opened.cursors, "seen": opened.seen, "source_counts": opened.counts,
		})
	}
}

// walkRows are rows of walks, by column.
type walkRows struct {
	functions []int32
	from, to  []time.Time
	cursors   []string
	seen      []int32
	counts    []*int32
}

func (r *walkRows) add(c *claim, w archive.Walk) {
	r.functions = append(r.functions, c.function.ID)
	r.from, r.to = append(r.from, w.Span.From), append(r.to, w.Span.To)
	r.cursors, r.seen = append(r.cursors, string(w.Cursor)), append(r.seen, int32(w.Seen))
	var count *int32
	if w.Count >= 0 {
		n := int32(w.Count)
		count = &n
	}
	r.counts = append(r.counts, count)
}

// queueStrays notes which functions have strays (see archive.Batch).
func queueStrays(batch *pgx.Batch, writes []*write) {
	var functions []int32
	for _, w := range writes {
		if w.batch.Strays {
			functions = append(functions, w.claim.function.ID)
		}
	}
	if len(functions) > 0 {
		batch.Queue(`UPDATE functions SET strays = true WHERE function_id = ANY ($1) AND NOT strays`, functions)
	}
}

// queueReturned notes which functions were gone and answer again.
func queueReturned(batch *pgx.Batch, writes []*write) {
	var functions []int32
	for _, w := range writes {
		o := w.batch.Outcome
		if !w.claim.function.Gone.IsZero() && (o == nil || o.State != archive.StateFailed) {
			functions = append(functions, w.claim.function.ID)
		}
	}
	if len(functions) > 0 {
		batch.Queue(`UPDATE functions SET gone_at = NULL, gone_asked_at = NULL WHERE function_id = ANY ($1)`, functions)
	}
}
