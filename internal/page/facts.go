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
// and the first of them. It also counts due hours that are not planned yet. A
// function that the source does not list any more is not late.
func (l *loader) missing(f *read.Function) (hours int64, first time.Time) {
	if f.MissingSince != nil {
		return 0, time.Time{}
	}
	hours = f.Open
	if f.OpenSince != nil {
		first = f.OpenSince.UTC()
	}
	if _, to := l.expectedHours(f); f.PlannedTo != nil && f.PlannedTo.Before(to) {
		hours += int64(to.Sub(*f.PlannedTo) / archive.Hour)
		if first.IsZero() {
			first = f.PlannedTo.UTC()
		}
	}
	return hours, first
}

func (l *loader) verdict() verdict {
	v, late := l.coverageVerdict()
	var missed, functions, unlisted int64
	for i := range l.functions {
		if f := &l.functions[i]; f.Missed > 0 {
			missed += f.Missed
			functions++
		}
		if l.functions[i].MissingSince != nil {
			unlisted++
		}
	}
	// Adds what is wrong. The first line is about the worst.
	worse := func(text, more string) {
		if v.Class == "good" || v.Class == "wait" && late == 0 {
			v.Text, text = text, ""
		}
		v.Class, v.More = "bad", strings.TrimSpace(strings.Join([]string{v.More, text, more}, " "))
	}
	if missed > 0 {
		worse(fmt.Sprintf("%s of %s %s missed.", plural(missed, "hour", "hours"), plural(functions, "function", "functions"), was(missed)),
			"The source may have forgotten their records before they were read. archiver acknowledge takes missed hours out of this verdict.")
	}
	for i := range l.lists {
		if list := &l.lists[i]; !list.Whole {
			worse("A list of functions is not whole.", l.listText(list))
		}
	}
	if unlisted > 0 {
		v.More = strings.TrimSpace(fmt.Sprintf("%s %s not listed any more, and probably deleted.", v.More+" "+plural(unlisted, "function", "functions"), is(unlisted)))
	}
	return v
}

// listText says that a list of functions is not whole.
func (l *loader) listText(list *read.List) string {
	why := "the source's list of functions is not whole"
	if list.LastError != nil {
		why = *list.LastError
	}
	return fmt.Sprintf("%s %s: %s (%s).", list.Provider, list.Region, why, ago(list.ListedAt, l.now))
}

// coverageVerdict says whether the hours that are due are archived, and how many are
// not.
func (l *loader) coverageVerdict() (v verdict, hours int64) {
	var failed, short, stuck, windows, never, holed int64
	for i := range l.functions {
		f := &l.functions[i]
		windows += f.Windows
		if n := l.neverRequested(f); n > 0 {
			never += n
			holed++
		}
		if f.MissingSince == nil {
			failed, short, stuck = failed+f.Failed, short+f.Short, stuck+f.Stuck
		}
	}
	hours, functions, oldest := l.openHours()
	between := fmt.Sprintf("No run was asked for %s of %s between other hours: only archiver backfill reads them.",
		plural(never, "hour", "hours"), plural(holed, "function", "functions"))
	switch {
	case windows == 0:
		return verdict{"wait", "Nothing is archived yet.", "The first run plans the hours that are due."}, 0
	case hours == 0 && never > 0:
		return verdict{"wait", "Every hour that a run was asked for is archived.", between}, 0
	case hours == 0:
		return verdict{"good", "Every hour that is due is archived.", ""}, 0
	}
	v.Class = "wait"
	v.Text = fmt.Sprintf("%s of %s %s not archived yet.", plural(hours, "hour", "hours"), plural(functions, "function", "functions"), is(hours))
	v.More = "The oldest is " + minuteText(oldest) + " UTC, " + ago(oldest, l.now) + "."
	if failed+short > 0 {
		v.Class = "bad"
		v.More += fmt.Sprintf(" %s failed, %s short: later runs try them again.", number(failed), number(short))
	}
	if stuck > 0 {
		v.More += fmt.Sprintf(" Of these, %s longer after each failure: no smaller question can be asked.", plural(stuck, "waits", "wait"))
	}
	if never > 0 {
		v.More += " " + between
	}
	return v, hours
}

func was(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
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
	if t.Expired > 0 {
		complete.Note += ", " + number(t.Expired) + " expired"
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
		r.Why += refusedText(w.Refused)
		if w.RetryAt != nil && w.RetryAt.After(l.now) {
			r.Why += ", asked again at " + minuteText(*w.RetryAt) + " UTC"
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
		if refused := refusedText(t.Refused); refused != "" {
			groups[i].When += ", failed" + refused
		}
		if t.Functions > 1 {
			groups[i].Where += fmt.Sprintf(" and %s", plural(t.Functions-1, "other function", "other functions"))
		}
	}
	return groups, nil
}
