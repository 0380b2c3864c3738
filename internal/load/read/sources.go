package read

import (
	"context"
	_ "embed" // statements
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// A Source is a source as the view sources has it. A pass is a run of run or once. Times are
// in UTC. The JSON is that of archiver status --json.
type Source struct {
	ID       int32  `json:"source_id"`
	Name     string `json:"name"`
	Provider string `json:"provider"`
	Region   string `json:"region"`
	Project  string `json:"project_id"`

	FirstSeen    time.Time  `json:"first_seen"`
	LastSeen     time.Time  `json:"last_seen"` // when its last run began
	LastSuccess  *time.Time `json:"last_success_at,omitempty"`
	LastOutcome  *string    `json:"last_outcome,omitempty"`  // of its passes
	LastError    *string    `json:"last_error,omitempty"`    // of the last pass, if it was not complete
	FailingSince *time.Time `json:"failing_since,omitempty"` // end of the first pass without success after the last success
	FailedPasses int64      `json:"failed_passes"`           // since the last success

	NextAttempt *time.Time     `json:"next_attempt_at,omitempty"`
	PassEvery   *time.Duration `json:"-"` // how often passes come; nil if there was none
	DueBy       *time.Time     `json:"-"` // if no pass begins by then, two were missed
	Retention   *time.Duration `json:"-"` // how long the source keeps records, as its last run was told

	IgnoredAt     *time.Time `json:"ignored_at,omitempty"`
	IgnoredBy     *string    `json:"ignored_by,omitempty"`
	IgnoredReason *string    `json:"ignored_reason,omitempty"`

	Running bool `json:"running"` // a pass of it goes on now
}

//go:embed sources.sql
var selectSources string

// Sources are all sources, by name, at a time. A source of functions that no run has noted
// comes last.
func (s *Snapshot) Sources(ctx context.Context, functions []Function, now time.Time) ([]Source, error) {
	all, err := pg.Collect[Source](ctx, s.tx, "the sources", selectSources, pg.Args{"now": now, "seen_since": now.Add(-archive.DeadAfter)})
	if err != nil {
		return nil, err
	}
	for i := range functions {
		f := &functions[i]
		if !slices.ContainsFunc(all, func(s Source) bool { return s.Of(f) }) {
			all = append(all, Source{
				Name:     strings.Join([]string{f.Provider, f.Region, f.Project}, "/"),
				Provider: f.Provider, Region: f.Region, Project: f.Project, FirstSeen: f.FirstSeen, LastSeen: f.FirstSeen,
			})
		}
	}
	return all, nil
}

// Of reports whether a function belongs to the source.
func (s *Source) Of(f *Function) bool {
	if f.SourceID != 0 {
		return s.ID == f.SourceID
	}
	return s.ID == 0 && s.Provider == f.Provider && s.Region == f.Region && s.Project == f.Project
}
