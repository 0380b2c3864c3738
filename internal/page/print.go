package page

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"archiver/internal/load/read"
	"archiver/internal/terminal"
	"archiver/internal/words"
)

const (
	screenRows   = 20 // functions on a terminal
	screenRisks  = 5
	screenRuns   = 5
	screenErrors = 5

	minName = 10 // the width to which names of functions are shortened
	maxName = 48
)

// Print prints the status as text for a terminal. It returns the verdict that it printed.
func (p *Page) Print(ctx context.Context, w io.Writer, s Screen) (v read.Verdict, err error) {
	s.Columns = max(s.Columns, minColumns)
	out := &printer{Screen: s}
	err = p.load(ctx, request{page: 1}, func(l *loader) error {
		v = l.judged
		return l.print(ctx, out)
	})
	if err != nil {
		return v, fmt.Errorf("read the archive's status: %w", err)
	}
	if _, err := w.Write(out.out.Bytes()); err != nil {
		return v, fmt.Errorf("print the archive's status: %w", err)
	}
	return v, nil
}

func (l *loader) print(ctx context.Context, p *printer) (err error) {
	// A terminal shows all functions: there is no search for a name.
	if err := l.CountOff(ctx, l.shown); err != nil {
		return err
	}
	shown := l.shown
	if len(shown) > screenRows && !p.All {
		shown = shown[:screenRows]
	}

	l.printSummary(p)
	if from, to := l.extent(); from.Before(to) {
		if err := l.printCoverage(ctx, p, shown); err != nil {
			return err
		}
	}
	l.printSources(p)
	l.printFunctions(p, shown)
	if err := l.printRisks(ctx, p); err != nil {
		return err
	}
	l.printLockWaits(p)
	l.printOff(p)
	l.printLearned(p)
	if err := l.printRuns(ctx, p); err != nil {
		return err
	}
	return l.printErrors(ctx, p)
}

func (l *loader) printSummary(p *printer) {
	t := sum(l.shown)
	p.text(bold, 0, 3, fmt.Sprintf("%d functions, %d of %d windows complete, %d records, %d in flight, %d rejected",
		len(l.functions), t.Complete, t.Windows, t.Records, t.Pending, t.Rejected))
	v := l.verdict()
	p.text(styleOf(v.Class), 0, 8, v.Text+" "+v.More)
	if disk := l.disk(); t.Windows > 0 {
		p.text(plain, 0, 2, strings.TrimSuffix(disk.Value+" on disk, "+disk.Note, ", "))
	}
	if t.Off > 0 {
		p.text(plain, 0, 2, fmt.Sprintf("%d windows are off: the source kept no records", t.Off))
	}
}

func (l *loader) printSources(p *printer) {
	rows := l.sourceRows()
	if len(rows) == 0 {
		return
	}
	p.line()
	table := &terminal.Table{Columns: []terminal.Column{
		{Head: "SOURCE", Least: minName, Most: maxName}, {Head: "STATE"}, {Head: "LAST SUCCESS", Rank: 1}, {Head: "NEXT PASS", Rank: 2},
	}}
	var styles []style
	for _, row := range rows {
		table.Add(row.Name, row.State, row.LastSuccess, row.Next)
		s := plain
		if row.Class != "good" {
			s = styleOf(row.Class)
		}
		styles = append(styles, s)
	}
	p.table(table, styles)
}

func (l *loader) printFunctions(p *printer, shown []read.Function) {
	if len(shown) == 0 {
		return
	}
	p.line()
	least := minName
	if len(l.marks) > 0 { // what tells functions of one name apart is not cut off
		least = min(maxName, p.Columns/2)
	}
	table := &terminal.Table{Columns: []terminal.Column{
		{Head: "FUNCTION", Least: least, Most: maxName}, {Head: "COMPLETE", Right: true}, {Head: "RECORDS", Right: true, Rank: 2},
		{Head: "IN FLIGHT", Right: true, Rank: 4}, {Head: "OPEN SINCE", Rank: 1}, {Head: "NOTE", Rank: 3},
	}}
	var styles []style
	for i := range shown {
		f := &shown[i]
		_, since := l.of(f).Missing(f)
		open, s := "-", plain
		if !since.IsZero() {
			open, s = shortTime(since, l.now), orange
		}
		if rank(f) == 0 {
			s = red
		}
		name := l.names[f.ID]
		if len(l.marks) > 0 {
			name = l.shortName(f, least)
		}
		table.Add(name, fmt.Sprintf("%d/%d", f.Complete, f.Windows), words.Number(f.Records), words.Number(f.Pending), open, remarks(f))
		styles = append(styles, s)
	}
	p.table(table, styles)
}

// remarks returns short remarks on a function.
func remarks(f *read.Function) string {
	var parts []string
	for _, state := range []struct {
		n    int64
		name string
	}{{f.Failed, "failed"}, {f.Short, "short"}, {f.Missed, "missed"}, {f.Expired - f.Missed, "expired"}, {f.Gone, "gone"}, {f.Rejected, "rejected"}} {
		if state.n > 0 {
			parts = append(parts, words.Number(state.n)+" "+state.name)
		}
	}
	if text := remark(f); text != "" && (f.GoneAt == nil || f.Gone == 0) {
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func (l *loader) printRisks(ctx context.Context, p *printer) error {
	risks, err := l.risks(ctx)
	if err != nil || len(risks) == 0 {
		return err
	}
	p.title("AT RISK NEXT")
	for _, r := range risks[:min(len(risks), screenRisks)] {
		p.line(part{plain, terminal.Line(r.Hour) + "Z  "}, part{styleOf(r.Class), r.Left}, part{plain, "  " + terminal.Line(r.Name)})
		why := r.Why
		if r.More != "" {
			why = r.More + "; " + why
		}
		p.text(faint, 2, 2, why)
	}
	p.text(faint, 0, 4, l.riskNote())
	return nil
}

func (l *loader) printLockWaits(p *printer) {
	if len(l.waits) == 0 {
		return
	}
	p.title("WAITS FOR LOCKS")
	for _, text := range l.lockWaits() {
		p.text(orange, 0, 5, text)
	}
}

func (l *loader) printLearned(p *printer) {
	all, more := l.learned()
	if len(all) == 0 {
		return
	}
	p.title("LEARNED OF THE SOURCES")
	for _, limit := range all {
		p.text(plain, 0, 2, limit.Source+": "+limit.Value)
		p.text(faint, 2, 2, limit.What+", since "+limit.Since)
	}
	if more > 0 {
		p.text(faint, 0, 1, fmt.Sprintf("… and %d more: archiver limits", more))
	}
}

func (l *loader) printOff(p *printer) {
	all, more := l.logsOff()
	if len(all) == 0 {
		return
	}
	p.title("STATUS LOG OFF")
	for _, o := range all {
		p.text(plain, 0, 1, o.Name)
		p.text(faint, 2, 3, o.Text)
	}
	if more > 0 {
		p.text(faint, 0, 1, fmt.Sprintf("… and %s", words.Plural(int64(more), "more function", "more functions")))
	}
}

func (l *loader) printRuns(ctx context.Context, p *printer) error {
	running, finished, err := l.lastRuns(ctx, screenRuns)
	if err != nil {
		return err
	}
	l.printRunning(p, running)
	l.printFinished(p, finished)
	return nil
}

func (l *loader) printRunning(p *printer, runs []*read.Run) {
	if len(runs) == 0 {
		return
	}
	p.title("RUNNING")
	for _, status := range runs {
		r := l.runningRun(status)
		p.text(plain, 0, 2, r.Title)
		if r.Due > 0 {
			width := min(40, p.Columns-2-6-columnGap)
			done := int(int64(width) * r.Done / r.Due)
			p.line(part{plain, "  "}, part{blue, strings.Repeat("█", done)}, part{faint, strings.Repeat("░", width-done)}, part{plain, "  " + r.Share})
		}
		p.text(plain, 2, 5, r.Details)
	}
}

func (l *loader) printFinished(p *printer, runs []*read.Run) {
	if len(runs) == 0 {
		return
	}
	p.title("LAST RUNS")
	table := &terminal.Table{Columns: []terminal.Column{
		{Head: "RUN"}, {Head: "BEGAN", Rank: 4}, {Head: "TOOK", Rank: 5}, {Head: "WINDOWS", Right: true, Rank: 1},
		{Head: "RECORDS", Right: true, Rank: 2}, {Head: "CALLS", Right: true, Rank: 3}, {Head: "ENDED"},
	}}
	var styles []style
	var errors []part
	for _, r := range runs {
		row := l.finishedRun(r)
		table.Add(fmt.Sprintf("%d %s", r.ID, r.AskedBy), shortTime(r.Started, l.now), row.Took, row.Windows, row.Records, row.Calls, row.Outcome)
		s := plain
		if row.Class != "good" {
			s = styleOf(row.Class)
		}
		styles = append(styles, s)
		if row.Error != "" {
			errors = append(errors, part{s, fmt.Sprintf("%d: %s", r.ID, row.Error)})
		}
	}
	p.table(table, styles)
	for _, e := range errors {
		p.text(e.style, 0, 3, e.text)
	}
}

func (l *loader) printErrors(ctx context.Context, p *printer) error {
	groups, err := l.errorGroups(ctx)
	if err != nil || len(groups) == 0 {
		return err
	}
	p.title("LAST ERRORS")
	for _, g := range groups[:min(len(groups), screenErrors)] {
		p.text(plain, 0, 1, g.Where+", "+g.When)
		p.text(red, 2, 3, g.Error)
	}
	return nil
}

// shortTime formats a recent time in UTC, in at most 12 columns.
func shortTime(t, now time.Time) string {
	if t = t.UTC(); now.Sub(t).Abs() > 300*day {
		return t.Format("2 Jan 2006")
	}
	return t.Format("2 Jan 15:04")
}
