package archive

import (
	"testing"
	"time"
)

// A question is asked a second wider than it is, in whole seconds, and of what
// comes back only what it is about matches.
func TestQuestion(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	q := Question{
		From: noon.Add(250 * time.Millisecond), To: noon.Add(time.Minute + 500*time.Millisecond),
		Statuses: []string{StatusFail, "Retrying"}, RequestID: "a",
	}
	asked := q.Query(Function{URN: "f"})
	if !asked.From.Equal(noon.Add(-time.Second)) || !asked.To.Equal(noon.Add(62*time.Second)) || asked.RequestID != "a" || asked.Status != "" || asked.Function.URN != "f" {
		t.Errorf("%+v", asked)
	}
	q.Statuses = q.Statuses[:1]
	q.To = noon.Add(time.Minute)
	if asked := q.Query(Function{}); asked.Status != StatusFail || !asked.To.Equal(noon.Add(61*time.Second)) {
		t.Errorf("%+v", asked)
	}
	q.Statuses = []string{StatusFail, "Retrying"}
	for name, c := range map[string]struct {
		inv     Invocation
		matches bool
	}{
		"the first instant":  {Invocation{RequestID: "a", Status: StatusFail, Start: q.From}, true},
		"before it":          {Invocation{RequestID: "a", Status: StatusFail, Start: q.From.Add(-1)}, false},
		"the last instant":   {Invocation{RequestID: "a", Status: StatusFail, Start: q.To.Add(-1)}, true},
		"the end":            {Invocation{RequestID: "a", Status: StatusFail, Start: q.To}, false},
		"no start":           {Invocation{RequestID: "a", Status: StatusFail}, true},
		"the source's word":  {Invocation{RequestID: "a", Status: StatusRunning, SourceStatus: "Retrying", Start: q.From}, true},
		"another word":       {Invocation{RequestID: "a", Status: StatusRunning, SourceStatus: "Running", Start: q.From}, false},
		"another status":     {Invocation{RequestID: "a", Status: StatusSuccess, Start: q.From}, false},
		"no start, another":  {Invocation{RequestID: "a", Status: StatusWait}, false},
		"another request id": {Invocation{RequestID: "A", Status: StatusFail, Start: q.From}, false},
	} {
		if q.Matches(&c.inv) != c.matches {
			t.Errorf("%s: matches %t", name, !c.matches)
		}
	}
	unbounded := Question{}
	if !unbounded.Matches(&Invocation{RequestID: "a", Start: noon}) {
		t.Error("a question about everything does not match")
	}
}
