package main

import (
	"context"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/lookup"
	"archiver/internal/settings"
	"archiver/internal/sources"
	"archiver/internal/supervise"
)

// ofArchive asks the archive, which it cannot change.
func (c *queryCommand) ofArchive(ctx context.Context, in *settings.Settings, q archive.Question, limit int, s streams) error {
	db, err := supervise.OpenReader(ctx, in, c.Logger(s.err))
	if err != nil {
		return err
	}
	defer db.Close()
	store := read.New(db)
	same, err := archivedFunction(ctx, store, c.Function)
	if err != nil {
		return err
	}
	f := same[0]
	if q.Statuses, err = sources.Statuses(f.Source.Provider, q.Statuses); err != nil {
		return err
	}
	ids := make([]int32, len(same))
	for i := range same {
		ids[i] = same[i].ID
	}
	out := c.printer(s, f.URN)
	var found lookup.Found
	most := limit
	if limit > 0 {
		most++ // to know whether there are more
	}
	for inv, failed := range store.Lookup(ctx, ids, q, most) {
		if failed != nil {
			err = failed
			break
		}
		if limit > 0 && found.Shown == limit {
			found.More = true
			break
		}
		if err = out.show(inv); err != nil {
			break
		}
		found.Shown++
	}
	if err = ended(out, found, err, s.err); err != nil {
		return err
	}
	tell(s.err, found, f.URN)
	if f.LatestURN != "" && found.Shown == 0 {
		note(s.err, "a record that several versions list is archived once, mostly as %s", f.LatestURN)
	}
	return tellIncomplete(ctx, store, ids, q, s)
}

// tellIncomplete says where the archive does not hold all of what was asked for.
func tellIncomplete(ctx context.Context, store *read.Archive, ids []int32, q archive.Question, s streams) error {
	if q.From.IsZero() || q.To.IsZero() {
		return nil
	}
	hours := int(archive.WindowOf(q.To.Add(-time.Nanosecond)).Sub(archive.WindowOf(q.From))/archive.Hour) + 1
	complete, err := store.Complete(ctx, ids, q.From, q.To)
	if err != nil {
		return err
	}
	if complete < hours {
		note(s.err, "%d of these %d hours are not complete in the archive: archiver status says why", hours-complete, hours)
	}
	return nil
}

// archivedFunction is the one that is meant; the same one may have been archived
// from several sources, where the name of a region was not always given. Versions
// beside the latest are found by their URN.
func archivedFunction(ctx context.Context, store *read.Archive, asked string) ([]read.Archived, error) {
	all, err := store.Functions(ctx)
	if err != nil {
		return nil, err
	}
	of := make(map[string][]read.Archived)
	var functions []archive.Function
	for _, f := range all {
		if len(of[f.URN]) == 0 && (f.LatestURN == "" || f.URN == asked) {
			functions = append(functions, f.Function)
		}
		of[f.URN] = append(of[f.URN], f)
	}
	found, err := meant(functions, asked)
	if err != nil {
		return nil, err
	}
	f, err := one(functions, found, asked)
	if err != nil {
		return nil, err
	}
	return of[f.URN], nil
}
