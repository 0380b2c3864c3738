package page

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"archiver/internal/load/read"
	"archiver/internal/words"
)

const (
	pageRows   = 40   // functions per page
	reportRows = 2000 // functions in a report: some 25 kB each
	maxRuns    = 10
	maxRisks   = 10
	maxErrors  = 8
)

// A model holds the contents of the page.
type model struct {
	Version, Now string
	Report       bool
	Verdict      verdict
	Sources      []sourceRow
	Choices      []string // names of sources, if there are several
	Source       string   // the one that is asked for; empty for all
	Facts        []fact
	Running      []runningRun
	LockWaits    []string
	Match        string
	Views        []view
	Legend       [states]stateText
	Risks        []risk
	RiskNote     string
	LogsOff      []logOff
	MoreLogsOff  int
	Learned      []learned
	MoreLearned  int
	Errors       []errorGroup
	Runs         []runRow
}

// A loader collects the data of one page from one snapshot.
type loader struct {
	*read.Snapshot
	request
	now       time.Time
	kept      read.Times
	continues bool               // run or once continues the archive
	all       []read.Source      // of the archive
	sources   []read.Source      // that are asked for
	expected  []read.Expectation // of their functions
	judged    read.Verdict       // on these sources
	lists     []read.List        // of the functions of all sources
	size      read.Size          // of the archive
	limits    []read.Limit       // that were learned of them
	waits     []read.LockWait    // of more than five seconds
	functions []read.Function    // of them
	shown     []read.Function    // that match, functions with problems first
	names     map[int32]string
	marks     map[int32]string // of functions that have the name of another
}

func (p *Page) model(ctx context.Context, asked request) (m *model, err error) {
	err = p.load(ctx, asked, func(l *loader) (err error) {
		m, err = l.model(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	m.Version, m.Now = p.Version, words.Minute(p.Clock.Now())
	return m, nil
}

// load calls use with a loader of one snapshot.
func (p *Page) load(ctx context.Context, asked request, use func(*loader) error) error {
	size, err := p.Store.Size(ctx, p.Clock.Now())
	if err != nil {
		return err
	}
	return p.Store.Snapshot(ctx, func(s *read.Snapshot) (err error) {
		l := &loader{Snapshot: s, request: asked, size: size, now: p.Clock.Now().UTC(), kept: read.Times{Given: p.Retention, Default: p.SourceRetention}}
		if l.functions, err = l.Functions(ctx); err != nil {
			return err
		}
		if l.all, err = l.Sources(ctx, l.functions, l.now); err != nil {
			return err
		}
		if l.lists, err = l.Lists(ctx); err != nil {
			return err
		}
		if l.limits, err = l.Limits(ctx, l.now); err != nil {
			return err
		}
		if l.waits, err = l.LockWaits(ctx); err != nil {
			return err
		}
		l.selectSources()
		l.judged = read.Judge(l.now, l.functions, l.sources, l.lists, l.kept)
		l.selectFunctions()
		return use(l)
	})
}

func (l *loader) model(ctx context.Context) (m *model, err error) {
	m = &model{Report: l.report, Match: l.match, Legend: stateTexts}
	m.Verdict, m.Facts = l.verdict(), l.facts()
	m.Sources, m.Choices, m.Source = l.sourceRows(), l.choices(), l.source
	m.LogsOff, m.MoreLogsOff = l.logsOff()
	m.Learned, m.MoreLearned = l.learned()
	m.LockWaits = l.lockWaits()
	running, finished, err := l.lastRuns(ctx, maxRuns)
	if err != nil {
		return nil, err
	}
	for _, r := range running {
		m.Running = append(m.Running, l.runningRun(r))
	}
	for _, r := range finished {
		m.Runs = append(m.Runs, l.finishedRun(r))
	}
	for _, z := range zooms {
		chosen := l.isChosen(z)
		if !chosen && !l.report {
			continue
		}
		v, err := l.view(ctx, z)
		if err != nil {
			return nil, err
		}
		v.Default = chosen
		m.Views = append(m.Views, v)
	}
	if m.Risks, err = l.risks(ctx); err != nil {
		return nil, err
	}
	m.RiskNote = l.riskNote()
	m.Errors, err = l.errorGroups(ctx)
	return m, err
}

// selectFunctions sorts the functions and selects the shown ones.
func (l *loader) selectFunctions() {
	alike := make(map[string][]*read.Function)
	for i := range l.functions {
		f := &l.functions[i]
		alike[f.Name] = append(alike[f.Name], f)
	}
	l.names, l.marks = make(map[int32]string, len(l.functions)), make(map[int32]string)
	wanted := strings.ToLower(l.match)
	for i := range l.functions {
		f := &l.functions[i]
		l.names[f.ID] = f.Name
		if mark := distinction(f, alike[f.Name]); mark != "" {
			l.marks[f.ID] = mark
			l.names[f.ID] = f.Name + " (" + mark + ")"
		}
		if strings.Contains(strings.ToLower(f.Name), wanted) || strings.Contains(strings.ToLower(f.URN), wanted) {
			l.shown = append(l.shown, *f)
		}
	}
	slices.SortFunc(l.shown, func(a, b read.Function) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), compareTimes(a.OpenSince, b.OpenSince),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.URN, b.URN), cmp.Compare(a.ID, b.ID))
	})
}

// distinction returns what of a function is not the same in all functions of its name:
// region, project, version.
func distinction(f *read.Function, alike []*read.Function) string {
	var marks []string
	for _, of := range []func(*read.Function) string{
		func(f *read.Function) string { return f.Region },
		func(f *read.Function) string { return f.Project },
		func(f *read.Function) string { return f.URN[strings.LastIndexByte(f.URN, ':')+1:] },
	} {
		if slices.ContainsFunc(alike, func(other *read.Function) bool { return of(other) != of(f) }) {
			marks = append(marks, of(f))
		}
	}
	return strings.Join(marks, ", ")
}

// rank is low for functions with problems.
func rank(f *read.Function) int {
	switch {
	case f.Standing != read.Wanted:
		return 2
	case f.Missed > 0, f.Failed+f.Short > 0:
		return 0
	case f.Open > 0:
		return 1
	case f.Windows == 0:
		return 3
	default:
		return 2
	}
}

func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	default:
		return a.Compare(*b)
	}
}

// extent returns the start of the first and the end of the last expected hour.
func (l *loader) extent() (from, to time.Time) {
	for i := range l.functions {
		f, t := l.of(&l.functions[i]).Hours(&l.functions[i])
		if planned := l.functions[i].PlannedFrom; planned != nil {
			f = planned.UTC() // hours before the expected ones may have windows
		}
		if t.After(f) {
			if from.IsZero() || f.Before(from) {
				from = f
			}
			to = maxTime(to, t)
		}
	}
	return from, to
}

// newest returns the last day with data.
func (l *loader) newest() time.Time {
	if _, to := l.extent(); !l.continues && !to.IsZero() {
		return dayOf(to.Add(-1))
	}
	return dayOf(l.now)
}

// last returns the last day shown.
func (l *loader) last() time.Time {
	if l.at.IsZero() {
		return l.newest()
	}
	return l.at
}

// isChosen reports whether z is the requested zoom. The default is a week, or a
// day if all expected hours are in the day shown.
func (l *loader) isChosen(z zoom) bool {
	if l.zoom != "" {
		return z.Key == zoomByKey(l.zoom).Key
	}
	if from, to := l.extent(); to.Sub(from) <= day && dayOf(from).Equal(dayOf(to.Add(-1))) && dayOf(from).Equal(l.last()) {
		return z.Key == "day"
	}
	return z.Key == "week"
}

// link returns the address of another view. A report has no links.
func (l *loader) link(zoom string, at time.Time, match string, page int) string {
	if l.report {
		return ""
	}
	q := url.Values{"zoom": {zoom}}
	if l.source != "" {
		q.Set("source", l.source)
	}
	if !at.IsZero() {
		q.Set("at", at.Format(time.DateOnly))
	}
	if match != "" {
		q.Set("q", match)
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	return "/?" + q.Encode()
}

// ids returns the ids of functions.
func ids(functions []read.Function) []int32 {
	all := make([]int32, len(functions))
	for i := range functions {
		all[i] = functions[i].ID
	}
	return all
}
