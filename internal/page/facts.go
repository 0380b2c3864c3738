package page

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/words"
)

// A verdict is the summary in the first line of the page.
type verdict struct{ Class, Text, More string }

type fact struct{ Name, Value, Note string }

// classes are the levels of a verdict as the page shows them.
var classes = map[read.Level]string{read.OK: "good", read.Warning: "wait", read.Bad: "bad"}

func (l *loader) verdict() verdict {
	return verdict{classes[l.judged.Level], l.judged.Text, l.judged.More}
}

// sum adds up the counts of functions.
func sum(functions []read.Function) (t read.Function) {
	for i := range functions {
		f := &functions[i]
		t.Windows += f.Windows
		t.Complete += f.Complete
		t.Short += f.Short
		t.Failed += f.Failed
		t.Gone += f.Gone
		t.Expired += f.Expired
		t.Off += f.Off
		t.Records += f.Records
		t.Pending += f.Pending
		t.Rejected += f.Rejected
	}
	return t
}

func (l *loader) facts() []fact {
	t := sum(l.functions)
	standing := make(map[string]int64)
	for i := range l.functions {
		standing[l.functions[i].Standing]++
	}
	var notes []string
	for _, which := range []string{"gone", "excluded", "ignored"} {
		if n := standing[which]; n > 0 {
			notes = append(notes, words.Number(n)+" "+which)
		}
	}
	functions := fact{"Functions", words.Number(int64(len(l.functions))), strings.Join(notes, ", ")}
	complete := fact{"Hours complete", words.Number(t.Complete), "of " + words.Number(t.Windows) + " planned"}
	if t.Gone > 0 {
		complete.Note += ", " + words.Number(t.Gone) + " gone"
	}
	if t.Expired > 0 {
		complete.Note += ", " + words.Number(t.Expired) + " expired"
	}
	records := fact{"Records", words.Number(t.Records), ""}
	if t.Rejected > 0 {
		records.Note = words.Number(t.Rejected) + " rejected"
	}
	return []fact{functions, complete, records, {"In flight", words.Number(t.Pending), "waiting or running"}, l.disk()}
}

// disk is how much the archive takes, and how much a day adds.
func (l *loader) disk() fact {
	disk := fact{Name: "Disk", Value: words.Bytes(l.size.Bytes)}
	if l.size.BytesADay > 0 {
		disk.Note = "a day adds " + words.Bytes(l.size.BytesADay)
	}
	return disk
}

// A logOff is a function whose source keeps no records.
type logOff struct{ Name, Text string }

const maxLogsOff = 20

// logsOff returns the functions whose status log is off, the latest first.
func (l *loader) logsOff() (all []logOff, more int) {
	var found []*read.Function
	for i := range l.functions {
		if f := &l.functions[i]; f.OffSince != nil && f.GoneAt == nil {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(a, b *read.Function) int {
		return cmp.Or(b.OffSince.Compare(*a.OffSince), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	for _, f := range found[:min(len(found), maxLogsOff)] {
		all = append(all, logOff{l.names[f.ID], "status log off since " + f.OffSince.UTC().Format("2006-01-02 15:04Z") + ": the source keeps no records"})
	}
	return all, len(found) - len(all)
}

// A risk is the oldest hour of a function that is not archived.
type risk struct{ Name, Href, Hour, Why, More, Left, Class string }

// risks returns the oldest hours that are not archived. The source deletes
// their records next.
func (l *loader) risks(ctx context.Context) ([]risk, error) {
	type late struct {
		f     *read.Function
		first time.Time
		hours int64
	}
	var all []late
	for i := range l.shown {
		f := &l.shown[i]
		if hours, first := l.of(f).Missing(f); hours > 0 {
			all = append(all, late{f, first, hours})
		}
	}
	slices.SortStableFunc(all, func(a, b late) int {
		return cmp.Or(a.first.Compare(b.first), cmp.Compare(b.hours, a.hours))
	})
	all = all[:min(len(all), maxRisks)]
	functions, starts := make([]int32, len(all)), make([]time.Time, len(all))
	for i, a := range all {
		functions[i], starts[i] = a.f.ID, a.first
	}
	open, err := l.OpenWindows(ctx, functions, starts)
	if err != nil {
		return nil, err
	}
	why := make(map[int32]read.OpenWindow, len(open))
	for _, w := range open {
		why[w.FunctionID] = w
	}
	risks := make([]risk, len(all))
	for i, a := range all {
		w, planned := why[a.f.ID]
		r := risk{Name: l.names[a.f.ID], Href: l.link("day", dayOf(a.first), a.f.URN, 1), Hour: words.Minute(a.first), Why: "not read"}
		switch {
		case !planned:
			r.Why = "not planned yet"
		case w.State == string(archive.StatePartial):
			r.Why = "partly read"
		case w.State != string(archive.StatePending):
			r.Why = w.State
		}
		r.Why += refusedText(w.Refused)
		if w.RetryAt != nil && w.RetryAt.After(l.now) {
			r.Why += ", asked again at " + words.Minute(*w.RetryAt) + " UTC"
		}
		if w.LastError != nil && *w.LastError != "" {
			r.Why += ": " + *w.LastError
		}
		if a.hours > 1 {
			r.More = "and " + words.Plural(a.hours-1, "later hour", "later hours")
		}
		r.Left, r.Class = l.left(a.f, a.first)
		risks[i] = r
	}
	return risks, nil
}

// refusedText names the smallest question that is known to fail.
func refusedText(r read.Refused) string {
	if r.RefusedFrom == nil || r.RefusedTo == nil {
		return ""
	}
	const clock = "15:04:05Z"
	return " for " + r.RefusedFrom.UTC().Format(clock) + "/" + r.RefusedTo.UTC().Format(clock)
}

// riskNote explains the assumption behind the risks.
func (l *loader) riskNote() string {
	var kept []string
	for i := range l.sources {
		text := words.Duration(l.kept.Of(&l.sources[i]))
		if len(l.sources) > 1 {
			text += " (" + l.sources[i].Name + ")"
		}
		kept = append(kept, text)
	}
	return "The source does not say how long it keeps records. These times assume " + strings.Join(kept, ", ") + " from the end of the hour."
}

// left formats how long the source is assumed to keep the records of a function's hour.
func (l *loader) left(f *read.Function, hour time.Time) (text, class string) {
	switch left := hour.Add(archive.Hour + l.of(f).Retention).Sub(l.now); {
	case left <= 0:
		return "may be deleted already", "bad"
	case left < 3*day:
		return "in " + words.Duration(left), "bad"
	case left < 7*day:
		return "in " + words.Duration(left), "wait"
	default:
		return "in " + words.Duration(left), ""
	}
}

// An errorGroup is an error message, and where it was seen.
type errorGroup struct{ Error, Where, When string }

func (l *loader) errorGroups(ctx context.Context) ([]errorGroup, error) {
	var open []int32
	for i := range l.shown {
		if l.shown[i].Open > 0 {
			open = append(open, l.shown[i].ID)
		}
	}
	found, err := l.Troubles(ctx, open, maxErrors)
	if err != nil {
		return nil, err
	}
	groups := l.passErrors()
	for _, t := range found {
		group := errorGroup{Error: t.Error, Where: l.names[t.FunctionID], When: words.Minute(t.Start) + " UTC"}
		if refused := refusedText(t.Refused); refused != "" {
			group.When += ", failed" + refused
		}
		if t.Functions > 1 {
			group.Where += fmt.Sprintf(" and %s", words.Plural(t.Functions-1, "other function", "other functions"))
		}
		groups = append(groups, group)
	}
	return groups, nil
}
