package page

import (
	"fmt"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/words"
)

// A learned is something that was learned of a source.
type learned struct{ Source, What, Value, Since string }

const maxLearned = 20

// learned returns what was learned of the sources.
func (l *loader) learned() (all []learned, more int) {
	for i := range l.limits[:min(len(l.limits), maxLearned)] {
		limit := &l.limits[i]
		all = append(all, learned{
			Source: SourceText(limit), What: limit.Meaning, Value: LimitText(limit),
			Since: words.Minute(limit.Learned) + " UTC",
		})
	}
	return all, len(l.limits) - len(all)
}

// SourceText names the source of a limit, and the function if the limit is its own.
func SourceText(l *read.Limit) string {
	text := l.Provider
	for _, part := range []string{l.Region, l.Project} {
		if part != "" {
			text += " " + part
		}
	}
	if l.FunctionName != nil {
		text += ", " + *l.FunctionName
	}
	return text
}

// LimitText formats the value of a limit with its unit.
func LimitText(l *read.Limit) string {
	switch archive.Lesson(l.What) {
	case archive.LearnedRange, archive.LearnedAge, archive.LearnedEdge:
		return words.Duration(time.Duration(l.Value) * time.Second)
	case archive.LearnedRate:
		return compactNumber(l.Value) + " calls a second"
	case archive.LearnedProven, archive.LearnedCeiling, archive.LearnedPage, archive.LearnedCount:
		return words.Plural(int64(l.Value), "record", "records")
	}
	return fmt.Sprintf("%v %s", l.Value, l.Unit)
}
