package supervise

import (
	"time"

	"archiver/internal/archive"
)

// A RunReport tells a run to programs: it is the JSON of once, backfill and verify. Times
// are in UTC. docs/json.md describes it.
type RunReport struct {
	Source  string        `json:"source,omitempty"` // its name, if the configuration file lists several
	Run     archive.RunID `json:"run_id,omitempty"` // 0 if no run began
	AskedBy string        `json:"asked_by"`
	From    time.Time     `json:"range_from"`
	To      time.Time     `json:"range_to"`
	Outcome string        `json:"outcome"`
	Error   string        `json:"error,omitempty"`
	Seconds float64       `json:"seconds"`

	Functions int64 `json:"functions"`
	Windows   int64 `json:"windows"`
	Complete  int64 `json:"complete"`
	Short     int64 `json:"short"`
	Failed    int64 `json:"failed"`
	Gone      int64 `json:"gone"`
	Expired   int64 `json:"expired"`
	Missed    int64 `json:"missed"`
	Waiting   int   `json:"waiting"`
	NotDue    int   `json:"not_settled"`

	RangeWindows  int `json:"range_windows,omitempty"`
	RangeComplete int `json:"range_complete,omitempty"`

	Inserted  int64 `json:"inserted"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Rejected  int64 `json:"rejected"`
	Calls     int64 `json:"calls"`
	Throttled int64 `json:"throttled"`

	Compared    int64        `json:"compared"`
	Differ      int64        `json:"differ"`
	Differences []Difference `json:"differences,omitempty"`
}

// A Difference is a window for which the source counts more or fewer records than the archive has.
type Difference struct {
	URN      string    `json:"function_urn"`
	Name     string    `json:"function_name"`
	Start    time.Time `json:"window_start"`
	Archived int       `json:"archived"`
	Counted  *int      `json:"counted,omitempty"` // nil if there was nothing to compare with
}

// Report is the report of a run of the source.
func (s *Source) Report(o archive.Order, r archive.Summary, took time.Duration, err error) RunReport {
	report := RunReport{
		Source: s.Name, Run: r.Run, AskedBy: o.AskedBy, From: r.Range.From.UTC(), To: r.Range.To.UTC(),
		Outcome: archive.RunOutcome(err), Seconds: took.Seconds(),
		Functions: r.Functions, Windows: r.Windows, Complete: r.Complete, Short: r.Short, Failed: r.Failed, Gone: r.Gone,
		Expired: r.Expired, Missed: r.Missed, Waiting: r.Waiting, NotDue: r.NotDue,
		RangeWindows: r.RangeWindows, RangeComplete: r.RangeComplete,
		Inserted: r.Inserted, Updated: r.Updated, Unchanged: r.Unchanged, Rejected: r.Rejected,
		Calls: r.Calls, Throttled: r.Refused, Compared: r.Compared, Differ: r.Differ,
	}
	if err != nil {
		report.Error = err.Error()
	}
	for _, d := range r.Differences {
		difference := Difference{URN: d.Function.URN, Name: d.Function.Name, Start: d.Window.UTC(), Archived: d.Archived}
		if d.Counted >= 0 {
			difference.Counted = &d.Counted
		}
		report.Differences = append(report.Differences, difference)
	}
	return report
}
