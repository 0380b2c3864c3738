package loadtest

import (
	"fmt"
	"testing"
	"time"

	"archiver/internal/archive"
)

var (
	// Today is the day that most tests write to.
	Today = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	// Noted is the time of most commits.
	Noted = time.Date(2026, 3, 20, 8, 0, 0, 0, time.UTC)
	// Later is the time of commits after those.
	Later = Noted.Add(time.Hour)

	// Source is the source of all functions.
	Source = archive.SourceID{Provider: "functiongraph", Region: "cn-north-4", ProjectID: "p"}
)

// Hours is a span of n windows from an hour on.
func Hours(from time.Time, n int) archive.Span {
	return archive.Span{From: from, To: from.Add(time.Duration(n) * archive.Hour)}
}

// Hour is the start of the n-th hour of today.
func Hour(n int) time.Time { return Today.Add(time.Duration(n) * archive.Hour) }

// Span is from one hour of today to another.
func Span(from, to int) archive.Span { return archive.Span{From: Hour(from), To: Hour(to)} }

// Record is an invocation without optional fields.
func Record(id, status string, start time.Time) archive.Invocation {
	return archive.Invocation{RequestID: id, Status: status, Start: start}
}

// Timed is a record with a duration.
func Timed(id, status string, start time.Time, took time.Duration) archive.Invocation {
	inv := Record(id, status, start)
	inv.End = start.Add(took)
	return inv
}

// Page is a page of a walk over the span. More pages follow.
func Page(s archive.Span, at time.Time, records ...archive.Invocation) archive.Batch {
	return archive.Batch{
		Invocations: records, At: at,
		Walk: archive.Walk{Span: s, Cursor: "next", Seen: len(records)},
	}
}

// LastPage is the page that ends the walk of its span as complete.
func LastPage(s archive.Span, at time.Time, records ...archive.Invocation) archive.Batch {
	return archive.Batch{
		Invocations: records, At: at, Walk: archive.Walk{Span: s},
		Outcome: &archive.Outcome{State: archive.StateComplete},
	}
}

// Commit commits a batch, which must succeed.
func Commit(t testing.TB, c archive.Claim, b archive.Batch) archive.Kept {
	t.Helper()
	kept, err := c.Commit(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// Many are n successful invocations, spread over the span.
func Many(n int, s archive.Span, prefix string) []archive.Invocation {
	step := s.To.Sub(s.From) / time.Duration(max(n, 1))
	records := make([]archive.Invocation, n)
	for i := range records {
		start := s.From.Add(time.Duration(i) * step)
		records[i] = archive.Invocation{
			RequestID: fmt.Sprintf("%s-%024d", prefix, i), Status: archive.StatusSuccess,
			Start: start, End: start.Add(137 * time.Millisecond),
		}
	}
	return records
}

// Told is a setting as a source gives it. The number of retries identifies it.
func Told(urn string, retries int, modified time.Time, log ...bool) archive.Setting {
	s := archive.Setting{URN: urn, MaxEventAge: 3600, MaxRetries: retries, Modified: modified}
	raw := fmt.Sprintf(`{"func_urn": %q, "max_async_retry_attempts": %d`, urn, retries)
	if len(log) > 0 {
		s.StatusLog = &log[0]
		raw += fmt.Sprintf(`, "enable_async_status_log": %t`, log[0])
	}
	s.Raw = []byte(raw + "}")
	return s
}

// Answer are settings as a source answers them.
func Answer(settings ...archive.Setting) archive.FunctionSettings {
	return archive.FunctionSettings{Settings: settings, Whole: true}
}

// Keep commits settings.
func Keep(t testing.TB, c archive.Claim, s archive.FunctionSettings, at time.Time) {
	t.Helper()
	if err := c.KeepSettings(t.Context(), s, at); err != nil {
		t.Fatal(err)
	}
}

// Fill fills three days up to today. Each day has a row of each kind.
func Fill(t testing.TB, c archive.Claim) {
	t.Helper()
	for d := range 3 {
		from := Today.AddDate(0, 0, d-2)
		id := func(kind string) string { return fmt.Sprint(kind, d) }
		b := LastPage(Hours(from, 24), Noted, append(Many(10, Hours(from, 24), id("r")),
			Record(id("undated"), archive.StatusDiscard, time.Time{}),
			Record(id("waits"), archive.StatusWait, from.Add(time.Hour)))...)
		b.Rejected = []archive.Rejected{{Reason: "none", Payload: []byte(id("bad"))}}
		Commit(t, c, b)
	}
}
