package loop

import (
	"context"
	"errors"
	"fmt"

	"archiver/internal/archive"
)

// listFunctions returns the functions that the source lists. It adds functions that
// the archive knows and the source does not list any more: the source may still
// have records of them. Functions that are named are returned even if the list is denied.
//
// A list that is not whole makes the run incomplete. Only a whole list can tell that a
// function is missing.
func (r *run) listFunctions(ctx context.Context, summary *archive.Summary) ([]archive.Known, error) {
	var functions []archive.Known
	see := func(page []archive.Function) error {
		known, err := r.Store.SeeFunctions(ctx, r.Source.ID(), page, r.began)
		if err != nil {
			return fmt.Errorf("keep the list of functions: %w", err)
		}
		functions = append(functions, known...)
		return nil
	}
	for page, err := range r.Source.Functions(ctx) {
		// An answer that is a refusal tells the time as well.
		if err := r.compareClocks(ctx, summary); err != nil {
			return nil, err
		}
		var short *archive.ListError
		switch {
		case err == nil:
			if err := see(page); err != nil {
				return nil, err
			}
		case context.Cause(ctx) != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &short):
			summary.List = short
			about := []any{"listed", short.Listed}
			if short.Counted >= 0 {
				about = append(about, "counted", short.Counted)
			}
			r.Log.Warn("the list of functions is not whole", about...)
		case errors.Is(err, archive.ErrDenied) && len(r.Named) > 0:
			r.listDenied = true
			r.Log.Info("the list of functions is denied, the functions that are named are read", archive.ErrorKeys(err)...)
		default:
			return nil, fmt.Errorf("list functions: %w", err)
		}
	}
	if err := r.compareClocks(ctx, summary); err != nil { // the list has no page
		return nil, err
	}
	// Before the end of the list: a function that is named is not missing from it.
	if err := see(r.unlisted(functions)); err != nil {
		return nil, err
	}
	if !r.listDenied {
		if err := r.Store.EndList(ctx, r.Source.ID(), summary.List, r.began); err != nil {
			return nil, fmt.Errorf("note how the list of functions ended: %w", err)
		}
	}
	unseen, err := r.Store.UnseenFunctions(ctx, r.Source.ID(), r.began, r.SourceRetention)
	if err != nil {
		return nil, fmt.Errorf("look up functions that are no longer listed: %w", err)
	}
	functions = append(functions, unseen...)
	if err := r.noteExcluded(ctx, functions, summary); err != nil {
		return nil, err
	}
	// A list that changes between two pages may name a function twice.
	seen := make(map[int32]bool, len(functions))
	matched := functions[:0]
	for _, f := range functions {
		if !seen[f.ID] && (r.Match == nil || r.Match(f.Function)) {
			seen[f.ID] = true
			if r.ignores(f) {
				r.ignored = true
				continue
			}
			f.MaxLife = r.traits.MaxLife
			matched = append(matched, f)
		}
	}
	return matched, nil
}

// unlisted returns the functions that are named and not listed.
func (r *run) unlisted(listed []archive.Known) (named []archive.Function) {
	urns := make(map[string]bool, len(listed))
	for _, f := range listed {
		urns[f.URN] = true
	}
	for _, f := range r.Named {
		if !urns[f.URN] {
			named = append(named, f)
		}
	}
	return named
}

// ignores reports whether the run leaves a function out that an operator gave up.
func (r *run) ignores(f archive.Known) bool { return f.Ignored && r.order.Pass() }

// noteExcluded notes which functions the settings of a pass leave out. A version is left out
// or read by its own URN.
func (r *run) noteExcluded(ctx context.Context, functions []archive.Known, summary *archive.Summary) error {
	if !r.order.Pass() || r.Wanted == nil {
		return nil
	}
	var excluded, wanted []int32
	for _, f := range functions {
		if r.Wanted(f.Function) {
			wanted = append(wanted, f.ID)
		} else {
			excluded = append(excluded, f.ID)
		}
	}
	if err := r.Store.Exclude(ctx, summary.Run, excluded, wanted, r.Versions != nil, r.began); err != nil {
		return fmt.Errorf("note the functions that are left out: %w", err)
	}
	return nil
}
