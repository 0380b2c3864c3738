package page

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"archiver/internal/load/read"
	"archiver/internal/words"
)

// A sourceRow is a source with its verdict.
type sourceRow struct {
	Name, Href, Class, State    string
	Error, Since                string // of the last pass, if it did not succeed
	LastSuccess, Next, LastSeen string
}

// selectSources leaves the sources that are asked for, with their functions.
func (l *loader) selectSources() {
	l.sources = slices.Clone(l.all)
	if l.source != "" {
		l.sources = slices.DeleteFunc(l.sources, func(s read.Source) bool { return s.Name != l.source })
	}
	l.expected = make([]read.Expectation, len(l.sources))
	for i := range l.sources {
		s := &l.sources[i]
		l.expected[i] = read.Expect(l.now, s, l.kept)
		l.continues = l.continues || s.PassEvery != nil
	}
	l.functions = slices.DeleteFunc(l.functions, func(f read.Function) bool { return l.sourceOf(&f) < 0 })
	l.limits = slices.DeleteFunc(l.limits, func(limit read.Limit) bool {
		return !slices.ContainsFunc(l.sources, func(s read.Source) bool {
			return s.Provider == limit.Provider && s.Region == limit.Region && s.Project == limit.Project
		})
	})
}

// sourceOf returns the index of a function's source, or -1 if it is not asked for.
func (l *loader) sourceOf(f *read.Function) int {
	return slices.IndexFunc(l.sources, func(s read.Source) bool { return s.Of(f) })
}

// of returns which hours of a function are expected.
func (l *loader) of(f *read.Function) read.Expectation { return l.expected[l.sourceOf(f)] }

// choices are the names of the sources, if there are several.
func (l *loader) choices() (names []string) {
	if len(l.all) < 2 {
		return nil
	}
	for i := range l.all {
		names = append(names, l.all[i].Name)
	}
	return names
}

// longestRetention returns the longest time for which a source is assumed to keep records.
func (l *loader) longestRetention() (longest time.Duration) {
	for _, e := range l.expected {
		longest = max(longest, e.Retention)
	}
	return longest
}

func (l *loader) sourceRows() (rows []sourceRow) {
	for i := range l.judged.Sources {
		s := &l.judged.Sources[i]
		row := sourceRow{
			Name: s.Name, Class: classes[s.Level], State: string(s.Level),
			LastSuccess: l.timeAgo(s.LastSuccess, "never"), LastSeen: l.timeAgo(&s.LastSeen, ""), Next: "–",
		}
		switch next := s.NextAttempt; {
		case s.IgnoredAt != nil:
			row.State = "ignored"
		case s.Running:
			row.Next = "goes on now"
		case next != nil && next.After(l.now):
			row.Next = words.Minute(*next) + " UTC"
		case next != nil:
			row.Next = "was due at " + words.Minute(*next) + " UTC"
		}
		if s.IgnoredAt == nil && s.FailedPasses > 0 && s.LastError != nil && s.FailingSince != nil {
			row.Error = *s.LastError
			row.Since = fmt.Sprintf("since %s UTC, %s", words.Minute(*s.FailingSince), words.Plural(s.FailedPasses, "pass", "passes"))
		}
		if !l.report && len(l.all) > 1 {
			row.Href = "/?" + url.Values{"source": {s.Name}}.Encode()
		}
		rows = append(rows, row)
	}
	return rows
}

func (l *loader) timeAgo(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return words.Minute(*t) + " UTC, " + words.Ago(*t, l.now)
}

// passErrors are the errors of sources whose last pass did not succeed.
func (l *loader) passErrors() (groups []errorGroup) {
	for _, row := range l.sourceRows() {
		if row.Error != "" {
			groups = append(groups, errorGroup{Error: row.Error, Where: row.Name + ", as a whole", When: row.Since + "; next pass: " + row.Next})
		}
	}
	return groups
}
