package archive

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxLate is how many of the records of a version's page that the archive has
// not are looked for in the latest's list.
const maxLate = 8

// uncovered are the versions that have to be read: all but those whose records
// the answers for the latest hold. The latest has been read by now.
//
// Whether a source answers for the whole function when it is asked for the
// latest is said on no page, so that it is looked at, once a day. A version is
// covered where all that the source gives for it was found in the archive under
// the latest: in the newest of the hours that the latest is complete in, and on
// the first page of all of them since it was last looked at. What is not in the
// archive may have come late: some of it is looked for in the latest's list.
//
// Nothing is lost by that. A version that is no longer covered is due for every
// hour of the range in which it has not been read, those included in which it
// was; and its records are kept by the source for longer than a day.
func (r *run) uncovered(ctx context.Context, versions []Version) ([]Known, error) {
	var look []*Version
	for i := range versions {
		v := &versions[i]
		if v.LookAgain && !r.order.Compare && v.Latest.Windows() > 0 {
			look = append(look, v)
		}
	}
	err := atOnce(ctx, r.Concurrency, look, func(ctx context.Context, v *Version) (err error) {
		v.Covered, err = r.look(ctx, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	var known []Known
	for i := range versions {
		if !versions[i].Covered {
			known = append(known, versions[i].Known)
		}
	}
	return known, nil
}

// look finds out whether a version is covered, and notes it.
func (r *run) look(ctx context.Context, v *Version) (covered bool, err error) {
	newest := Span{From: v.Latest.To.Add(-Hour), To: v.Latest.To}
	records := 0
	for _, s := range []Span{newest, v.Latest} {
		n, own, err := r.own(ctx, v, s)
		var failed *SourceError
		switch {
		case errors.As(err, &failed):
			// It is read as if nothing were known of it: that meets the same
			// error, and has words for it.
			return false, nil
		case err != nil:
			return false, err
		case own:
			return false, r.cover(ctx, v, false)
		}
		records += n
	}
	// One that had no records at all is what it was.
	return records > 0 || v.Covered, r.cover(ctx, v, records > 0 || v.Covered)
}

func (r *run) cover(ctx context.Context, v *Version, covered bool) error {
	if covered != v.Covered {
		r.Log.Info("looked at a version", "function", v.URN, "covered", covered)
	}
	if err := r.Versions.Cover(ctx, *v, covered, r.began); err != nil {
		return fmt.Errorf("note whether %s is covered: %w", v.URN, err)
	}
	return nil
}

// own reports whether a version has records of its own on the first page of a
// span, that the latest does not give, and how many records that page has.
func (r *run) own(ctx context.Context, v *Version, s Span) (records int, own bool, err error) {
	q := Query{Function: v.Function, From: s.From, To: s.To.Add(-time.Second)}
	page, err := r.first(ctx, q)
	if err != nil {
		return 0, false, err
	}
	if len(page.Rejected) > 0 {
		return 0, true, nil // these have no id to be found by
	}
	invocations := Distinct(page.Invocations)
	there, not, err := r.Versions.Elsewhere(ctx, v.Known, invocations)
	if err != nil {
		return 0, false, fmt.Errorf("look for the records of %s: %w", v.URN, err)
	}
	if len(not) == 0 {
		return len(there), false, nil
	}
	latest := Function{URN: v.LatestURN, Name: v.Name}
	for i := range min(len(not), maxLate) {
		listed, err := r.lists(ctx, latest, not[i*len(not)/min(len(not), maxLate)])
		if err != nil || !listed {
			return 0, !listed, err
		}
	}
	return len(invocations), false, nil
}

// lists reports whether the list of a function's records has this one. To ask
// for it by its id would not tell: an id may be found whatever function is asked
// for it.
func (r *run) lists(ctx context.Context, f Function, late Invocation) (bool, error) {
	if late.Start.IsZero() {
		return false, nil
	}
	q := Query{Function: f, From: late.Start.Truncate(time.Second).Add(-pad), To: late.Start.Truncate(time.Second).Add(pad)}
	for page, err := range r.Source.Pages(ctx, q) {
		if err != nil {
			return false, sourceError(ctx, err)
		}
		for i := range page.Invocations {
			if page.Invocations[i].RequestID == late.RequestID {
				return true, nil
			}
		}
	}
	return false, nil
}

// first is the first page of a query.
func (r *run) first(ctx context.Context, q Query) (Page, error) {
	for page, err := range r.Source.Pages(ctx, q) {
		if err != nil {
			return Page{}, sourceError(ctx, err)
		}
		return page, nil
	}
	return Page{}, sourceError(ctx, errors.New("the source gave no page"))
}
