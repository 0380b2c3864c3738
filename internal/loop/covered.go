package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"archiver/internal/archive"
)

// maxLate is how many of the records of a version's page that the archive has
// not are looked for in the latest's list.
const maxLate = 8

// allVersions reads what is due of the versions beside the latest, which have
// been read, and says how many these are.
//
// Whether a source answers for the whole function when it is asked for the
// latest is said on no page, so that it is looked at: once a day, and for a
// backfill in its range. A version is covered, and not read, where all of a
// sample of its records was found in the archive under the latest; one without
// records, where another one of its function is.
//
// That is a sample: pages that begin the newest hour and all since the last
// look. To verify asks for every version's count, and for every id where that
// differs. A version that is found to be covered no longer is due for all hours
// since the look before the last one, whatever the range.
func (r *run) allVersions(ctx context.Context, latest []archive.Known) (n int, err error) {
	versions, err := r.KnownVersions(ctx, latest, r.order, r.began)
	if err != nil || len(versions) == 0 {
		return 0, err
	}
	read, err := r.lookAtAll(ctx, versions)
	if err != nil {
		return 0, err
	}
	if err := r.all(ctx, read); err != nil {
		return 0, err
	}
	return len(versions), r.finish(ctx, versions)
}

// finish brings to an end what was begun of versions that are covered since: it
// is in the archive as theirs, and the latest's answers do not change that.
func (r *run) finish(ctx context.Context, versions []archive.Version) error {
	var begun []archive.Known
	for i := range versions {
		if v := &versions[i]; v.Covered && v.Begun {
			begun = append(begun, v.Known)
		}
	}
	if len(begun) == 0 || !r.order.Older {
		return nil
	}
	whole := r.order.Range
	defer func() { r.order.Range = whole }()
	r.order.Range.From = r.order.Range.To // nothing but what is older is due
	return r.all(ctx, begun)
}

// lookAtAll looks at the versions that are to be looked at, and returns those
// to be read.
func (r *run) lookAtAll(ctx context.Context, versions []archive.Version) ([]archive.Known, error) {
	var look []*archive.Version
	for i := range versions {
		if v := &versions[i]; len(r.sample(v)) > 0 {
			look = append(look, v)
		}
	}
	gone := make(map[int32]bool)
	records := make(map[int32]bool, len(look)) // of which there were some
	err := atOnce(ctx, r.Concurrency, look, func(ctx context.Context, v *archive.Version) error {
		some, err := r.look(ctx, v)
		r.mu.Lock()
		defer r.mu.Unlock()
		records[v.ID] = some
		if errors.Is(err, archive.ErrGone) {
			gone[v.ID] = true
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	covered := make(map[int32]bool) // by the latest's id
	for i := range versions {
		covered[versions[i].Latest.ID] = covered[versions[i].Latest.ID] || versions[i].Covered
	}
	for _, v := range look {
		if some, looked := records[v.ID]; looked && !some && !v.Covered && !gone[v.ID] && covered[v.Latest.ID] {
			if err := r.cover(ctx, v, true); err != nil {
				return nil, err
			}
		}
	}
	var read []archive.Known
	for i := range versions {
		if !versions[i].Covered && !gone[versions[i].ID] {
			read = append(read, versions[i].Known)
		}
	}
	return read, nil
}

// sample are the spans whose first pages are looked at of a version: its newest
// hour and all that was not looked at before, in which the latest is complete.
func (r *run) sample(v *archive.Version) []archive.Span {
	s := v.Complete
	if r.order.Older {
		if !v.LookAgain {
			return nil
		}
		s.From = later(s.From, v.LookedTo.Add(-archive.Hour))
	} else {
		s.From, s.To = later(s.From, r.order.Range.From), earlier(s.To, r.order.Range.To)
	}
	if !s.From.Before(s.To) {
		return nil
	}
	return []archive.Span{{From: s.To.Add(-archive.Hour), To: s.To}, s}
}

// look finds out whether a version is covered, notes it, and says whether it has
// records. It returns ErrGone for one that was covered and is not there any
// more: what it had is in the archive.
func (r *run) look(ctx context.Context, v *archive.Version) (records bool, err error) {
	for _, s := range r.sample(v) {
		n, own, err := r.own(ctx, v, s)
		var failed *archive.SourceError
		switch {
		case errors.Is(err, archive.ErrGone) && v.Covered:
			if noted := r.Versions.VersionGone(ctx, *v, r.began); noted != nil {
				return false, fmt.Errorf("note that %s is gone: %w", v.URN, noted)
			}
			return false, err
		case errors.Is(err, archive.ErrDenied):
			return false, err
		case errors.As(err, &failed) && v.Covered:
			r.progress.Update(func(t *archive.Totals) { t.Left++ })
			r.Log.Warn("version could not be looked at, the next run does", append([]any{"function", v.URN}, archive.ErrorKeys(err)...)...)
			return true, nil
		case errors.As(err, &failed):
			// It is read as if nothing were known of it: that meets the same
			// error, and has words for it.
			return true, nil
		case err != nil:
			return false, err
		case own:
			return true, r.cover(ctx, v, false)
		}
		records = records || n > 0
	}
	return records, r.cover(ctx, v, records || v.Covered)
}

// cover notes whether a version is covered. One that was and is not any more is
// to be read from before the last look on: a crash before that is noted has it
// looked at again.
func (r *run) cover(ctx context.Context, v *archive.Version, covered bool) error {
	if v.Covered && !covered {
		lost := archive.Span{From: later(v.Complete.From, v.LookedTo.Add(-archive.VersionsAge)), To: v.Complete.To}
		if err := r.Versions.Plan(ctx, []archive.Due{{Known: v.Known, Windows: 1}}, archive.Order{Range: lost}); err != nil {
			return fmt.Errorf("plan what %s gives: %w", v.URN, err)
		}
	}
	if covered != v.Covered {
		r.Log.Info("looked at a version", "function", v.URN, "covered", covered)
	}
	to := v.LookedTo
	for _, s := range r.sample(v) {
		to = later(to, s.To)
	}
	if err := r.Versions.Cover(ctx, *v, covered, to, r.began); err != nil {
		return fmt.Errorf("note whether %s is covered: %w", v.URN, err)
	}
	v.Covered = covered
	return nil
}

// own reports whether a version has records of its own on the first page of a
// span, that the latest does not give, and how many records that page has.
func (r *run) own(ctx context.Context, v *archive.Version, s archive.Span) (records int, own bool, err error) {
	page, err := r.first(ctx, archive.Query{Function: v.Function, From: s.From, To: s.To.Add(-time.Second)})
	if err != nil {
		return 0, false, err
	}
	if len(page.Rejected) > 0 {
		return 0, true, nil // these have no id to be found by
	}
	invocations := archive.Distinct(page.Invocations)
	late, err := r.Versions.Unarchived(ctx, v.Latest, invocations)
	if err != nil {
		return 0, false, fmt.Errorf("look for the records of %s: %w", v.URN, err)
	}
	for i := range min(len(late), maxLate) {
		listed, err := r.lists(ctx, v.Latest, &late[i*len(late)/min(len(late), maxLate)])
		if err != nil || !listed {
			return 0, !listed, err
		}
	}
	return len(invocations), false, nil
}

// lists reports whether the list of a function's records has this one, which
// the archive has not; if so, it came late to a window that is complete, whose
// count is asked for again. To ask for it by its id would not tell: an id may be
// found whatever function is asked for it.
func (r *run) lists(ctx context.Context, f archive.Known, late *archive.Invocation) (bool, error) {
	if late.Start.IsZero() {
		return false, nil
	}
	second := late.Start.Truncate(time.Second)
	for page, err := range r.Source.Pages(ctx, archive.Query{Function: f.Function, From: second.Add(-archive.QueryMargin), To: second.Add(archive.QueryMargin)}) {
		if err != nil {
			return false, sourceError(ctx, err)
		}
		for i := range page.Invocations {
			if page.Invocations[i].RequestID == late.RequestID {
				if err := r.Versions.Doubt(ctx, f, second.Truncate(archive.Hour)); err != nil {
					return false, fmt.Errorf("note that %s may have more records: %w", f.Name, err)
				}
				return true, nil
			}
		}
	}
	return false, nil
}

// first is the first page of a query.
func (r *run) first(ctx context.Context, q archive.Query) (archive.Page, error) {
	for page, err := range r.Source.Pages(ctx, q) {
		if err != nil {
			return archive.Page{}, sourceError(ctx, err)
		}
		return page, nil
	}
	return archive.Page{}, sourceError(ctx, errors.New("the source gave no page"))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
