package supervise

import (
	"context"
	"fmt"
	"math"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/loop"
)

const (
	// mostCounts is how many functions a dry run asks the source to count.
	mostCounts = 100

	// usualRowBytes is what a row takes as long as the archive has none.
	usualRowBytes = 250

	// writtenASecond is how many records PostgreSQL keeps in a second, on two cores.
	writtenASecond = 40_000
)

// An estimate is what a run would read and how long it would take.
type estimate struct {
	*Source
	due       []archive.Due
	densities map[int32]read.Density // of the archive
	rowBytes  float64

	records, calls float64
	unknown        int           // functions of which neither source nor archive tell how many records they have
	counts         int           // calls made
	took           time.Duration // by them
}

// estimate estimates what reading the due windows takes. If ask is set, it asks the source for
// the counts of at most mostCounts functions; those of the others come from what the archive
// has of them, and else from the mean.
func (set *Set) estimate(ctx context.Context, s *Source, due []archive.Due, o archive.Order, empty, ask bool) (*estimate, error) {
	e := &estimate{Source: s, due: due, rowBytes: usualRowBytes}
	if !empty {
		reader := read.New(set.DB)
		ids := make([]int32, len(due))
		for i, d := range due {
			ids[i] = d.ID
		}
		var err error
		if e.densities, err = reader.Density(ctx, ids); err != nil {
			return nil, err
		}
		bytes, err := reader.RowBytes(ctx)
		if err != nil {
			return nil, err
		}
		if bytes > 0 {
			e.rowBytes = bytes
		}
	}
	_, hasSettings := s.Archiver.Source.(archive.SettingsSource)
	_, hasVersions := s.Archiver.Source.(archive.Versioner)
	page := float64(max(s.Archiver.Source.Traits().Page, 1))
	var knownRecords, knownWindows float64
	var others []archive.Due
	for _, d := range due {
		if d.Windows == 0 {
			continue
		}
		if isNew := d.ID <= 0; d.LatestID == 0 { // which a dry run has made up
			if hasSettings && (d.Settings || isNew) {
				e.calls++
			}
			if hasVersions && s.Archiver.Versions != nil && isNew {
				e.calls += loop.CallsForVersions
			}
		}
		perHour, known, err := e.perHour(ctx, &d, o, ask)
		if err != nil {
			return nil, err
		}
		if !known {
			others = append(others, d)
			continue
		}
		records := perHour * float64(d.Windows)
		knownRecords, knownWindows = knownRecords+records, knownWindows+float64(d.Windows)
		e.calls += max(float64(leastCalls([]archive.Due{d})), math.Ceil(records/page))
	}
	e.records = knownRecords
	for _, d := range others {
		records := 0.0
		if knownWindows > 0 {
			records = knownRecords / knownWindows * float64(d.Windows)
		} else {
			e.unknown++
		}
		e.records += records
		e.calls += max(float64(leastCalls([]archive.Due{d})), math.Ceil(records/page))
	}
	return e, nil
}

// perHour returns how many records an hour of the function has. It asks the source for the count
// of the newest windows that one question can ask for.
func (e *estimate) perHour(ctx context.Context, d *archive.Due, o archive.Order, ask bool) (records float64, known bool, err error) {
	if ask && e.counts < mostCounts {
		span := archive.Span{From: d.Oldest, To: o.Range.To}
		if least := span.To.Add(-archive.MaxSpan); span.From.Before(least) {
			span.From = least
		}
		e.counts++
		began := e.Archiver.Clock.Now()
		for page, err := range e.Archiver.Source.Pages(ctx, archive.Query{Function: d.Function, From: span.From, To: span.To, Limit: 1}) {
			page.Release()
			if ctx.Err() != nil {
				return 0, false, context.Cause(ctx)
			}
			if err == nil && page.Count >= 0 {
				e.took += e.Archiver.Clock.Now().Sub(began)
				return float64(page.Count) / float64(max(span.Windows(), 1)), true, nil
			}
			break // the run itself will say what is wrong
		}
	}
	if archived := e.densities[d.ID]; archived.Hours > 0 {
		return float64(archived.Records) / float64(archived.Hours), true, nil
	}
	return 0, false, nil
}

// pace returns how many calls a second the run makes; 0 if nothing tells.
func (e *estimate) pace(ctx context.Context, set *Set, empty bool) (float64, error) {
	pace := 0.0
	least := func(p float64) {
		if p > 0 && (pace == 0 || p < pace) {
			pace = p
		}
	}
	least(e.Rate)
	if e.counts > 0 && e.took > 0 {
		least(float64(max(e.Concurrency, 1)) * float64(e.counts) / e.took.Seconds())
	}
	if empty {
		return pace, nil
	}
	learned, err := set.store.Learned(ctx, e.Archiver.Source.ID(), e.Archiver.Clock.Now().Add(-archive.LearnedLife))
	for _, l := range learned {
		if l.What == archive.LearnedRate {
			least(float64(l.Value) / 1000)
		}
	}
	return pace, err
}

// line tells the estimate in one line.
func (e *estimate) line(pace float64) string {
	about := "about"
	if e.unknown > 0 {
		about = "at least"
	}
	line := fmt.Sprintf("%s %.0f rows, %s %.1f MB, %s %.0f calls", about, e.records, about, e.records*e.rowBytes/1e6, about, e.calls)
	if pace > 0 {
		seconds := max(e.calls/pace, e.records/writtenASecond)
		took := time.Duration(math.Ceil(seconds)) * time.Second
		digits := 0
		if pace < 10 {
			digits = 1
		}
		line += fmt.Sprintf(", %s %s at %.*f calls a second", about, took, digits, pace)
	}
	if e.unknown > 0 {
		line += fmt.Sprintf("; of %d functions nothing tells how many records they have", e.unknown)
	}
	return line
}
