package read

import (
	"context"
	_ "embed" // statements
	"time"

	"archiver/internal/load/pg"
)

// A Limit is one thing that the archiver has learned of a source, as the view
// source_limits has it. Times are in UTC. The JSON is that of archiver status --json.
type Limit struct {
	Provider string `json:"provider"`
	Region   string `json:"region"`
	Project  string `json:"project_id"`
	// The function of which it was learned; nil if it was learned of the whole source.
	FunctionURN  *string `json:"function_urn,omitempty"`
	FunctionName *string `json:"function_name,omitempty"`

	What    string  `json:"what"` // an archive.Lesson
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`    // records, seconds or calls per second
	Meaning string  `json:"meaning"` // What in words

	Learned  time.Time `json:"learned_at"`
	Believed time.Time `json:"believed_until"`
}

//go:embed limits.sql
var selectLimits string

// Limits are what the archiver has learned of all sources and still believes at this
// time, by source, those of the whole source first.
func (s *Snapshot) Limits(ctx context.Context, at time.Time) ([]Limit, error) {
	return pg.Collect[Limit](ctx, s.tx, "what was learned of the sources", selectLimits, pg.Args{"at": at})
}

// A List is the state of the list of functions of one source, as the table source_lists
// has it. Times are in UTC. The JSON is that of archiver status --json.
type List struct {
	Provider  string     `json:"provider"`
	Region    string     `json:"region"`
	Project   string     `json:"project_id"`
	ListedAt  time.Time  `json:"listed_at"` // when the list was last read
	Whole     bool       `json:"whole"`
	Listed    int        `json:"listed"`               // functions that the list named
	Counted   *int       `json:"counted,omitempty"`    // if the list was not whole: functions that the source counts; nil if unknown
	WholeAt   *time.Time `json:"whole_at,omitempty"`   // when the list was last whole; nil for never
	LastError *string    `json:"last_error,omitempty"` // why the list was not whole
}

// Lists are the states of the lists of functions, by source.
func (s *Snapshot) Lists(ctx context.Context) ([]List, error) {
	return pg.Collect[List](ctx, s.tx, "the lists of functions", `
		SELECT provider, region, project_id, listed_at, whole, listed, counted, whole_at, last_error
		  FROM source_lists
		 ORDER BY provider, region, project_id`)
}
