package archive

import "time"

// LearnedLife is how long the archiver believes what it has learned of a source.
const LearnedLife = 24 * time.Hour

// A Lesson is a kind of thing that is learned of a source.
type Lesson string

// The lessons. The unit of Learned.Value is in parentheses.
const (
	// LearnedProven is the largest count that was proven: the halves of a question added
	// up to it (records).
	LearnedProven Lesson = "proven"
	// LearnedCeiling is the smallest count, or length of a list, at which the source cuts
	// off (records). Questions stay below it.
	LearnedCeiling Lesson = "ceiling"
	// LearnedRange is the widest range that the source answers (seconds).
	LearnedRange Lesson = "range"
	// LearnedPage is the largest page that the source answers (records).
	LearnedPage Lesson = "page"
	// LearnedAge is the greatest age at which the source has given a settled record within
	// the span that it was asked for (seconds).
	LearnedAge Lesson = "age"
	// LearnedEdge is the age of the oldest begin of a question that the source accepts
	// (seconds).
	LearnedEdge Lesson = "edge"
	// LearnedRate is how many calls the source accepts (calls in 1,000 seconds).
	LearnedRate Lesson = "rate"
	// LearnedCount is a count of one page or more that a function gave for a span
	// (records). If the function gives the same count for another span, both are proven.
	LearnedCount Lesson = "count"
)

// A Learned is one thing that was learned of a source.
type Learned struct {
	What     Lesson
	Function int32 // number of the function; 0 if it concerns the whole source
	Value    int64 // see What
	Span     Span  // of LearnedCount: what was asked for, in seconds
	Proven   bool  // of LearnedCount: the count was proven
	At       time.Time
}
