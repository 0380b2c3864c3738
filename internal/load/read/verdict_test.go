package read

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var judgedAt = time.Date(2026, 3, 14, 9, 25, 0, 0, time.UTC)

func hoursAgo(h int) *time.Time {
	t := judgedAt.Add(time.Duration(-h) * time.Hour)
	return &t
}

// soundSource has passes every hour, of which the last succeeded, and so many functions of
// which every hour is archived.
func soundSource(name string, functions int) (Source, []Function) {
	hour := time.Hour
	s := Source{
		Name: name, Provider: "functiongraph", Region: "eu-de", Project: name, FirstSeen: *hoursAgo(500), LastSeen: *hoursAgo(0),
		LastSuccess: hoursAgo(0), LastOutcome: new("complete"), NextAttempt: hoursAgo(-1), PassEvery: &hour, DueBy: hoursAgo(-2),
	}
	var all []Function
	for i := range functions {
		all = append(all, Function{
			Provider: s.Provider, Region: s.Region, Project: s.Project, Name: fmt.Sprint("f", i), FirstSeen: *hoursAgo(400), Standing: Wanted,
			Windows: 100, Complete: 100, PlannedFrom: hoursAgo(101), PlannedTo: hoursAgo(1),
		})
	}
	return s, all
}

// A verdict goes by the hours, by how the passes of each source end and whether they come,
// and by functions that vanish.
func TestVerdict(t *testing.T) {
	t.Parallel()
	failing := func(outcome, why string, passes int64) func(*Source, []Function) {
		return func(s *Source, _ []Function) {
			s.LastOutcome, s.LastError, s.FailedPasses, s.FailingSince, s.LastSuccess = &outcome, &why, passes, hoursAgo(int(passes)), hoursAgo(int(passes)+1)
		}
	}
	failed := func(f *Function) { f.Open, f.Failed, f.OpenSince = 3, 3, hoursAgo(30) }
	for name, test := range map[string]struct {
		change func(*Source, []Function)
		level  Level
		says   []string
	}{
		"all is well":          {func(*Source, []Function) {}, OK, []string{"Every hour that is due is archived."}},
		"the keys are refused": {failing("failed", "denied by the source", 1), Warning, []string{"stock: The last pass failed: denied by the source.", "Since 14 Mar 2026, 08:25 UTC, 60 min ago. The next pass begins at 14 Mar 2026, 10:25 UTC. archiver check says what to do."}},
		"for two ticks":        {failing("failed", "denied by the source", 2), Bad, []string{"The last 2 passes have not succeeded: denied by the source.", "Since 14 Mar 2026, 07:25 UTC"}},
		"the source is busy":   {failing("incomplete", "the source accepts no calls", 2), Bad, []string{"The last 2 passes did not archive all that was due: the source accepts no calls."}},
		"none ever succeeded": {func(s *Source, _ []Function) {
			failing("failed", "denied", 1)(s, nil)
			s.LastSuccess = nil
		}, Bad, []string{"The last pass failed: denied."}},
		"the process is down": {func(s *Source, _ []Function) { s.LastSeen, s.DueBy = *hoursAgo(3), hoursAgo(1) }, Bad,
			[]string{"No pass has begun since 14 Mar 2026, 06:25 UTC.", "two were missed: see whether archiver run is up"}},
		"a pass takes long": {func(s *Source, _ []Function) { s.LastSeen, s.DueBy, s.Running = *hoursAgo(3), hoursAgo(1), true }, OK, nil},
		"the first goes on": {func(s *Source, _ []Function) { s.LastSuccess, s.LastOutcome, s.Running = nil, nil, true }, Warning, []string{"No pass has archived all that was due yet."}},
		"hours are late":    {func(_ *Source, f []Function) { f[0].PlannedTo = hoursAgo(4) }, Warning, []string{"1 hour of 1 function is not archived yet."}},
		"late, of daily passes": {func(s *Source, f []Function) {
			every := 24 * time.Hour
			s.PassEvery, f[0].PlannedTo = &every, hoursAgo(20)
		}, OK, nil},
		"hours failed":        {func(_ *Source, f []Function) { failed(&f[0]) }, Bad, []string{"3 hours of 1 function are not archived yet.", "3 failed, 0 short"}},
		"hours are at risk":   {func(_ *Source, f []Function) { f[0].Open, f[0].OpenSince = 1, hoursAgo(25*24) }, Bad, []string{"The source may forget the oldest of these hours in 5 days."}},
		"hours were missed":   {func(_ *Source, f []Function) { f[0].Missed, f[0].MissedSince = 2, hoursAgo(90) }, Bad, []string{"2 hours of 1 function were missed."}},
		"33 of 36 are gone":   {vanish(33, 0), Warning, []string{"33 of 36 functions are gone at once.", "since 14 Mar 2026, 08:25 UTC"}},
		"33 are not listed":   {vanish(0, 33), Warning, []string{"33 of 36 functions are gone at once.", "33 functions are not listed any more"}},
		"a few are gone":      {vanish(5, 5), OK, nil},
		"they went yesterday": {func(_ *Source, f []Function) { goneAt(f[:33], 25) }, OK, nil},
		"a function that failed is excluded": {func(_ *Source, f []Function) {
			failed(&f[0])
			f[0].Missed, f[0].Standing, f[0].ExcludedSince = 1, "excluded", hoursAgo(1)
		}, OK, nil},
		"gone":    {func(_ *Source, f []Function) { failed(&f[0]); goneAt(f[:1], 1) }, OK, nil},
		"ignored": {func(_ *Source, f []Function) { failed(&f[0]); f[0].Standing, f[0].IgnoredAt = "ignored", hoursAgo(1) }, OK, nil},
		"ignored since the last pass": {func(s *Source, f []Function) {
			failing("incomplete", "3 windows are not complete", 2)(s, nil)
			failed(&f[0])
			f[0].Standing, f[0].IgnoredAt = "ignored", hoursAgo(-1)
		}, OK, nil},
		"a source is ignored": {func(s *Source, _ []Function) {
			failing("failed", "denied", 9)(s, nil)
			s.IgnoredAt = hoursAgo(1)
		}, OK, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop, functions := soundSource("shop", 36)
			stock, changed := soundSource("stock", 36)
			test.change(&stock, changed)
			v := Judge(judgedAt, append(functions, changed...), []Source{shop, stock}, nil, Times{Given: 30 * 24 * time.Hour})
			said := v.Text + " " + v.More
			if v.Level != test.level || v.Sources[0].Level != OK || v.Sources[1].Level != test.level {
				t.Errorf("the verdict is %s, of the sources %s and %s, want %s: %s", v.Level, v.Sources[0].Level, v.Sources[1].Level, test.level, said)
			}
			for _, part := range test.says {
				if !strings.Contains(said, part) {
					t.Errorf("the verdict does not say %q: %s", part, said)
				}
			}
		})
	}
}

func goneAt(functions []Function, hours int) {
	for i := range functions {
		functions[i].Standing, functions[i].GoneAt = "gone", hoursAgo(hours)
	}
}

func vanish(gone, missing int) func(*Source, []Function) {
	return func(_ *Source, f []Function) {
		goneAt(f[:gone], 1)
		for i := range f[gone : gone+missing] {
			f[gone+i].Standing, f[gone+i].MissingSince = "missing", hoursAgo(1)
		}
	}
}
