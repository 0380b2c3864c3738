package page

import (
	"context"
	"fmt"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/words"
)

// A runningRun is a run that is under way.
type runningRun struct {
	Title, Details string
	Done, Due      int64
	Share          string
}

// lockWaits says who keeps sessions of archivers waiting, and for how long.
func (l *loader) lockWaits() (texts []string) {
	for i := range l.waits {
		texts = append(texts, fmt.Sprintf("for %s, %s", words.Duration(max(l.now.Sub(l.waits[i].Since), 0)), l.waits[i].String()))
	}
	return texts
}

// A runRow is a finished run.
type runRow struct{ ID, What, Began, Took, Windows, Records, Calls, Outcome, Class, Error string }

// lastRuns returns the runs that are under way, and the last n finished ones.
func (l *loader) lastRuns(ctx context.Context, n int) (running, finished []*read.Run, err error) {
	newest := n
	if l.source != "" {
		newest *= len(l.all)
	}
	all, err := l.Runs(ctx, newest, l.now.Add(-archive.DeadAfter))
	for i := range all {
		if l.source != "" && (all[i].Source == nil || *all[i].Source != l.source) {
			continue
		}
		if l.isRunning(&all[i]) {
			running = append(running, &all[i])
		} else if len(finished) < n {
			finished = append(finished, &all[i])
		}
	}
	return running, finished, err
}

// isRunning reports whether a run is under way: its process has written its
// progress recently.
func (l *loader) isRunning(r *read.Run) bool {
	return r.Outcome == "running" && r.Seen != nil && l.now.Sub(*r.Seen).Abs() < archive.DeadAfter
}

// runTitle describes what a run was asked for, with its source if there are several.
func (l *loader) runTitle(r *read.Run) string {
	source := ""
	if r.Source != nil && len(l.all) > 1 {
		source = *r.Source + ": "
	}
	return source + fmt.Sprintf("%s of %s to %s", r.AskedBy, r.From.UTC().Format("2 Jan 2006 15:04"), r.To.UTC().Format("2 Jan 2006 15:04"))
}

func (l *loader) runningRun(r *read.Run) runningRun {
	run := runningRun{Title: l.runTitle(r), Done: valueOrZero(r.WindowsDone), Due: valueOrZero(r.WindowsPlanned)}
	took := r.Seen.Sub(r.Started)
	parts := []string{"began " + words.Ago(r.Started, l.now)}
	if r.Clocks != nil {
		parts = append(parts, *r.Clocks)
	}
	if run.Due == 0 {
		return runningRun{Title: run.Title, Details: strings.Join(append(parts, "finding the hours that are due"), " · ")}
	}
	run.Share = fmt.Sprintf("%d %%", 100*run.Done/run.Due)
	parts = append(parts, fmt.Sprintf("%s of %s windows", words.Number(run.Done), words.Number(run.Due)),
		words.Plural(valueOrZero(r.RecordsDone), "record", "records"), words.Plural(valueOrZero(r.CallsDone), "call", "calls"))
	if seconds := took.Seconds(); seconds >= 1 {
		parts = append(parts, compactNumber(float64(valueOrZero(r.RecordsDone))/seconds)+" records a second")
		if run.Done > 0 && run.Done < run.Due {
			left := time.Duration(float64(took) * float64(run.Due-run.Done) / float64(run.Done))
			parts = append(parts, "about "+words.Duration(left)+" left")
		}
	}
	if n := valueOrZero(r.RefusedDone); n > 0 {
		parts = append(parts, words.Plural(n, "call", "calls")+" throttled")
	}
	run.Details = strings.Join(parts, " · ")
	return run
}

func (l *loader) finishedRun(r *read.Run) runRow {
	row := runRow{
		ID: fmt.Sprint(r.ID), What: l.runTitle(r), Began: words.Minute(r.Started), Took: "–",
		Windows: numberOrDash(r.Windows), Records: numberOrDash(r.Records), Calls: numberOrDash(r.Calls), Outcome: r.Outcome,
	}
	if r.Finished != nil {
		row.Took = words.Duration(r.Finished.Sub(r.Started))
	}
	switch r.Outcome {
	case "complete":
		if row.Class = "good"; r.Clocks != nil {
			row.Class = "wait"
		}
	case "interrupted":
		row.Class = "wait"
	case "running":
		row.Outcome, row.Class = "died", "bad"
	default:
		row.Class = "bad"
	}
	var why []string
	for _, text := range []*string{r.Error, r.Clocks} {
		if text != nil {
			why = append(why, *text)
		}
	}
	row.Error = strings.Join(why, "; ")
	return row
}

func valueOrZero(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

func numberOrDash(n *int64) string {
	if n == nil {
		return "–"
	}
	return words.Number(*n)
}
