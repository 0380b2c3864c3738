package page

import (
	"fmt"
	"strings"
	"time"

	"archiver/internal/load/read"
)

// A running is a run that is under way.
type running struct {
	Title, Said string
	Done, Due   int64
	Share       string
}

// A runRow is a finished run.
type runRow struct{ ID, What, Began, Took, Windows, Records, Calls, Outcome, Class, Error string }

// splitRuns separates running from finished runs.
func (l *look) tell(all []read.RunStatus) (on []running, been []runRow) {
	for i := range all {
		r := &all[i]
		if l.goes(r) {
			on = append(on, l.running(r))
			continue
		}
		if len(been) < lastRuns {
			been = append(been, l.been(r))
		}
	}
	return on, been
}

// isRunning reports whether a run is under way: its process has written its
// progress recently.
func (l *look) goes(r *read.RunStatus) bool {
	return r.Outcome == "running" && r.Seen != nil && l.now.Sub(*r.Seen) < died
}

// runTitle describes what a run was asked for.
func what(r *read.RunStatus) string {
	return fmt.Sprintf("%s of %s to %s", r.AskedBy, r.From.UTC().Format("2 Jan 2006 15:04"), r.To.UTC().Format("2 Jan 2006 15:04"))
}

func (l *look) running(r *read.RunStatus) running {
	on := running{Title: what(r), Done: known(r.WindowsDone), Due: known(r.WindowsPlanned)}
	took := r.Seen.Sub(r.Started)
	parts := []string{"began " + ago(r.Started, l.now)}
	if on.Due == 0 {
		return running{Title: on.Title, Said: strings.Join(append(parts, "finding the hours that are due"), " · ")}
	}
	on.Share = fmt.Sprintf("%d %%", 100*on.Done/on.Due)
	parts = append(parts, fmt.Sprintf("%s of %s windows", number(on.Done), number(on.Due)),
		count(known(r.RecordsDone), "record", "records"), count(known(r.CallsDone), "call", "calls"))
	if seconds := took.Seconds(); seconds >= 1 {
		parts = append(parts, rough(float64(known(r.RecordsDone))/seconds)+" records a second")
		if on.Done > 0 && on.Done < on.Due {
			left := time.Duration(float64(took) * float64(on.Due-on.Done) / float64(on.Done))
			parts = append(parts, "about "+length(left)+" left")
		}
	}
	if n := known(r.RefusedDone); n > 0 {
		parts = append(parts, count(n, "call", "calls")+" throttled")
	}
	on.Said = strings.Join(parts, " · ")
	return on
}

func (l *look) been(r *read.RunStatus) runRow {
	row := runRow{
		ID: fmt.Sprint(r.ID), What: what(r), Began: minute(r.Started), Took: "–",
		Windows: orDash(r.Windows), Records: orDash(r.Records), Calls: orDash(r.Calls), Outcome: r.Outcome,
	}
	if r.Finished != nil {
		row.Took = length(r.Finished.Sub(r.Started))
	}
	switch r.Outcome {
	case "complete":
		row.Class = "good"
	case "interrupted":
		row.Class = "wait"
	case "running":
		row.Outcome, row.Class = "died", "bad"
	default:
		row.Class = "bad"
	}
	if r.Error != nil {
		row.Error = *r.Error
	}
	return row
}

func known(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

func orDash(n *int64) string {
	if n == nil {
		return "–"
	}
	return number(*n)
}
