package page

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// A verdict is the summary in the first line of the page.
type verdict struct{ Class, Text, More string }

type fact struct{ Name, Value, Note string }

// openHours sums up the hours that are not archived.
func (l *loader) openHours() (hours, functions int64, oldest time.Time) {
	for i := range l.functions {
		f := &l.functions[i]
		late, since := l.missing(f)
		if late == 0 {
			continue
		}
		hours += late
		functions++
		if oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
	}
	return hours, functions, oldest
}

// missing returns the number of due hours of a function that are not archived,
// and the first of them. It also counts due hours that are not planned yet.
func (l *loader) missing(f *read.Function) (hours int64, first time.Time) {
	hours = f.Open
	if f.OpenSince != nil {
		first = f.OpenSince.UTC()
	}
	if _, to := expectedHours(f, l.now, l.continues); f.PlannedTo != nil && f.PlannedTo.Before(to) {
		hours += int64(to.Sub(*f.PlannedTo) / archive.Hour)
		if first.IsZero() {
			first = f.PlannedTo.UTC()
		}
	}
	return hours, first
}

func (l *loader) verdict() verdict {
	t := sum(l.functions)
	var never, holed int64
	for i := range l.functions {
		if n := neverRequested(&l.functions[i]); n > 0 {
			never += n
			holed++
		}
	}
	hours, functions, oldest := l.openHours()
	between := fmt.Sprintf("No run was asked for %s of %s between other hours: only archiver backfill reads them.",
		plural(never, "hour", "hours"), plural(holed, "function", "functions"))
	switch {
	case t.Windows == 0:
		return verdict{"wait", "Nothing is archived yet.", "The first run plans the hours that are due."}
	case hours == 0 && never > 0:
		return verdict{"wait", "Every hour that a run was asked for is archived.", between}
	case hours == 0:
		return verdict{"good", "Every hour that is due is archived.", ""}
	}
	v := verdict{Class: "wait"}
	v.Text = fmt.Sprintf("%s of %s %s not archived yet.", plural(hours, "hour", "hours"), plural(functions, "function", "functions"), is(hours))
	v.More = "The oldest is " + minuteText(oldest) + " UTC, " + ago(oldest, l.now) + "."
	if t.Failed+t.Short > 0 {
		v.Class = "bad"
		v.More += fmt.Sprintf(" %s failed, %s short: each run tries them again.", number(t.Failed), number(t.Short))
	}
	if never > 0 {
		v.More += " " + between
	}
	return v
}

func is(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
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
		t.Off += f.Off
		t.Records += f.Records
		t.Pending += f.Pending
		t.Rejected += f.Rejected
	}
	return t
}

func (l *loader) facts() []fact {
	t := sum(l.functions)
	goneFunctions := int64(0)
	for i := range l.functions {
		if l.functions[i].GoneAt != nil {
			goneFunctions++
		}
	}
	functions := fact{"Functions", number(int64(len(l.functions))), ""}
	if goneFunctions > 0 {
		functions.Note = number(goneFunctions) + " gone"
	}
	complete := fact{"Hours complete", number(t.Complete), "of " + number(t.Windows) + " planned"}
	if t.Gone > 0 {
		complete.Note += ", " + number(t.Gone) + " gone"
	}
	records := fact{"Records", number(t.Records), ""}
	if t.Rejected > 0 {
		records.Note = number(t.Rejected) + " rejected"
	}
	return []fact{functions, complete, records, {"In flight", number(t.Pending), "waiting or running"}}
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
		if hours, first := l.missing(f); hours > 0 {
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
		r := risk{Name: l.names[a.f.ID], Href: l.link("day", dayOf(a.first), a.f.URN, 1), Hour: minuteText(a.first), Why: "not read"}
		switch {
		case !planned:
			r.Why = "not planned yet"
		case w.State == string(archive.StatePartial):
			r.Why = "partly read"
		case w.State != string(archive.StatePending):
			r.Why = w.State
		}
		if w.LastError != nil && *w.LastError != "" {
			r.Why += ": " + *w.LastError
		}
		if a.hours > 1 {
			r.More = "and " + plural(a.hours-1, "later hour", "later hours")
		}
		r.Left, r.Class = l.left(a.f, a.first)
		risks[i] = r
	}
	return risks, nil
}

// riskNote explains the assumption behind the risks.
func (l *loader) riskNote() string {
	providers := make(map[string]bool)
	for i := range l.functions {
		providers[l.functions[i].Provider] = true
	}
	var kept []string
	for _, provider := range slices.Sorted(maps.Keys(providers)) {
		text := durationText(l.sourceRetention(provider))
		if len(providers) > 1 {
			text += " (" + provider + ")"
		}
		kept = append(kept, text)
	}
	return "The source does not say how long it keeps records. These times assume " + strings.Join(kept, ", ") + " from the end of the hour."
}

// longestRetention returns the longest time for which a source is assumed to keep
// records.
func (l *loader) longestRetention() (longest time.Duration) {
	for i := range l.functions {
		longest = max(longest, l.sourceRetention(l.functions[i].Provider))
	}
	return longest
}

// left formats how long the source is assumed to keep the records of a function's hour.
func (l *loader) left(f *read.Function, hour time.Time) (words, class string) {
	switch left := hour.Add(archive.Hour + l.sourceRetention(f.Provider)).Sub(l.now); {
	case left <= 0:
		return "may be deleted already", "bad"
	case left < 3*day:
		return "in " + durationText(left), "bad"
	case left < 7*day:
		return "in " + durationText(left), "wait"
	default:
		return "in " + durationText(left), ""
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
	groups := make([]errorGroup, len(found))
	for i, t := range found {
		groups[i] = errorGroup{Error: t.Error, Where: l.names[t.FunctionID], When: minuteText(t.Start) + " UTC"}
		if t.Functions > 1 {
			groups[i].Where += fmt.Sprintf(" and %s", plural(t.Functions-1, "other function", "other functions"))
		}
	}
	return groups, nil
}
