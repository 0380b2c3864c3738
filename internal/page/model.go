package page

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

const (
	pageRows   = 40  // functions a page
	reportRows = 100 // functions in a report
	lastRuns   = 10
	mostRisks  = 10
	mostErrors = 8

	// A run is dead if its process has written nothing for this long.
	died = archive.DeadAfter
)

// A model holds the contents of the page.
type model struct {
	Version, Now string
	Report       bool
	Verdict      verdict
	Facts        []fact
	Running      []running
	Match        string
	Views        []view
	Legend       [states]word
	Risks        []risk
	RiskNote     string
	Off          []offLog
	MoreOff      int
	Troubles     []trouble
	Runs         []runRow
}

// A look collects the data of one page from one snapshot.
type look struct {
	*read.Snapshot
	request
	now       time.Time
	keeps     time.Duration
	goesOn    bool
	functions []read.FunctionTotals // of all functions
	shown     []read.FunctionTotals // that match, functions with problems first
	names     map[int32]string
}

func (p *Page) model(ctx context.Context, asked request) (m *model, err error) {
	err = p.Store.Snapshot(ctx, func(s *read.Snapshot) error {
		l := &look{Snapshot: s, request: asked, now: p.Clock.Now().UTC(), keeps: p.Keeps}
		m, err = l.make(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	m.Version, m.Now = p.Version, minute(p.Clock.Now())
	return m, nil
}

func (l *look) make(ctx context.Context) (m *model, err error) {
	if l.functions, err = l.Functions(ctx); err != nil {
		return nil, err
	}
	if l.goesOn, err = l.GoesOn(ctx); err != nil {
		return nil, err
	}
	l.choose()
	m = &model{Report: l.report, Match: l.match, Legend: words}
	m.Verdict, m.Facts = l.verdict(), l.facts()
	m.Off, m.MoreOff = l.off()
	runs, err := l.Runs(ctx, lastRuns, l.now.Add(-died))
	if err != nil {
		return nil, err
	}
	m.Running, m.Runs = l.tell(runs)
	for _, z := range zooms {
		chosen := l.chosen(z)
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
	m.Troubles, err = l.troubles(ctx)
	return m, err
}

// choose sorts the functions and selects the shown ones.
func (l *look) choose() {
	alike := make(map[string]int)
	for i := range l.functions {
		alike[l.functions[i].Name]++
	}
	l.names = make(map[int32]string, len(l.functions))
	wanted := strings.ToLower(l.match)
	for i := range l.functions {
		f := &l.functions[i]
		l.names[f.ID] = f.Name
		if alike[f.Name] > 1 {
			l.names[f.ID] = f.Name + " (" + tail(f) + ")"
		}
		if strings.Contains(strings.ToLower(f.Name), wanted) || strings.Contains(strings.ToLower(f.URN), wanted) {
			l.shown = append(l.shown, *f)
		}
	}
	slices.SortFunc(l.shown, func(a, b read.FunctionTotals) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), compareTimes(a.OpenSince, b.OpenSince),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.URN, b.URN), cmp.Compare(a.ID, b.ID))
	})
}

// tail distinguishes functions of the same name.
func tail(f *read.FunctionTotals) string {
	return f.Region + ", " + f.URN[strings.LastIndexByte(f.URN, ':')+1:]
}

// rank is low for functions with problems.
func rank(f *read.FunctionTotals) int {
	switch {
	case f.Failed+f.Short > 0:
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
func (l *look) extent() (from, to time.Time) {
	for i := range l.functions {
		f, t := expected(&l.functions[i], l.now, l.goesOn)
		if t.After(f) {
			if from.IsZero() || f.Before(from) {
				from = f
			}
			to = later(to, t)
		}
	}
	return from, to
}

// newest returns the last day with data.
func (l *look) newest() time.Time {
	if _, to := l.extent(); !l.goesOn && !to.IsZero() {
		return dayOf(to.Add(-1))
	}
	return dayOf(l.now)
}

// last returns the last day shown.
func (l *look) last() time.Time {
	if l.at.IsZero() {
		return l.newest()
	}
	return l.at
}

// chosen reports whether z is the requested zoom. The default is a week, or a
// day if all expected hours are in the day shown.
func (l *look) chosen(z zoom) bool {
	if l.zoom != "" {
		return z.Key == zoomOf(l.zoom).Key
	}
	if from, to := l.extent(); to.Sub(from) <= day && dayOf(from).Equal(dayOf(to.Add(-1))) && dayOf(from).Equal(l.last()) {
		return z.Key == "day"
	}
	return z.Key == "week"
}

// link returns the address of another view. A report has no links.
func (l *look) link(zoom string, at time.Time, match string, page int) string {
	if l.report {
		return ""
	}
	q := url.Values{"zoom": {zoom}}
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
func ids(functions []read.FunctionTotals) []int32 {
	all := make([]int32, len(functions))
	for i := range functions {
		all[i] = functions[i].ID
	}
	return all
}
