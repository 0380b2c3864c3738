package load

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

const figureColumns = "records, success, fail, discard, in_flight, other, failure_rate, timed, total_seconds, " +
	"mean_seconds, p50_seconds, p95_seconds, p99_seconds, max_seconds, histogram"

// Users rely on the columns of the views, in this order.
func TestViewColumns(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for view, want := range map[string]string{
		"invocation_history": "provider, region, project_id, function_urn, function_name, request_id, status, " +
			"source_status, error_code, error_message, start_time, end_time, duration_seconds, extra, " +
			"window_start, first_archived_at, updated_at",
		"window_coverage": "provider, function_urn, window_start, state, records, pending, source_count, " +
			"attempts, last_error, completed_at, rejected, expired_reason, acknowledged_at, refused_from, refused_to, retry_at",
		"source_limits": "provider, region, project_id, function_urn, function_name, what, value, unit, meaning, learned_at, believed_until",
		"source_lists":  "provider, region, project_id, listed_at, whole, listed, counted, whole_at, last_error",
		"failures": "provider, region, project_id, function_urn, function_name, request_id, status, " +
			"source_status, error_code, error_message, failed_at, start_time, end_time, duration_seconds, window_start",
		"function_hourly": "provider, region, project_id, function_urn, function_name, window_start, " + figureColumns,
		"function_daily":  "provider, region, project_id, function_urn, function_name, day, " + figureColumns + ", complete_hours",
		"source_hourly":   "provider, region, project_id, window_start, functions, " + figureColumns,
		"error_codes": "provider, region, project_id, function_urn, function_name, error_code, records, " +
			"first_seen, last_seen, sample_message",
	} {
		got := value[string](a, `
			SELECT string_agg(attname, ', ' ORDER BY attnum)
			  FROM pg_attribute
			 WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`, view)
		if diff := cmp.Diff(strings.Split(want, ", "), strings.Split(got, ", ")); diff != "" {
			t.Errorf("%s (-contract +database):\n%s", view, diff)
		}
	}
	columns := a.Rows(`
		SELECT attname FROM pg_attribute WHERE attrelid = 'invocations'::regclass AND attnum > 0`)
	for _, c := range []string{"request_id", "status", "error_code", "error_message", "start_time", "end_time"} {
		if !strings.Contains(strings.Join(columns, " "), "("+c+")") {
			t.Errorf("invocations has no column %s", c)
		}
	}
}

const nul = "\x00"

// The values of the view for values of a source. They do not depend on the time zone of
// the session. A zone with half an hour would move the borders of hours.
func TestHistoryValues(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	s := hours(today.Add(10*time.Hour), 1)
	start := s.From.Add(40*time.Minute + 123456*time.Microsecond)
	commit(t, c, lastPage(s, noted,
		archive.Invocation{
			RequestID: "full", Status: "FAIL", ErrorCode: "4201", ErrorMessage: "it \uFFFD broke",
			Start: start, End: start.Add(1500 * time.Millisecond), Extra: []byte(`{"a": [1, null, "x"]}`),
		},
		archive.Invocation{RequestID: "bare", Status: "SUCCESS", Start: s.From},
		archive.Invocation{RequestID: "word", Status: "SUCCESS", SourceStatus: "Succeeded", Start: s.From},
		archive.Invocation{RequestID: "strange", Status: "HIBERNATING", Start: s.From},
		archive.Invocation{RequestID: "backwards", Status: "SUCCESS", Start: start, End: start.Add(-time.Second)},
		archive.Invocation{RequestID: "never", Status: "DISCARD", End: s.From},
		archive.Invocation{RequestID: "waiting", Status: "WAIT"},
	))
	want := []string{
		`(backwards,SUCCESS,SUCCESS,,,"2026-03-14 10:40:00.123456","2026-03-14 10:39:59.123456",-1,,"2026-03-14 10:00:00")`,
		`(bare,SUCCESS,SUCCESS,,,"2026-03-14 10:00:00",,,,"2026-03-14 10:00:00")`,
		`(full,FAIL,FAIL,4201,"it � broke","2026-03-14 10:40:00.123456","2026-03-14 10:40:01.623456",1.5,"{""a"": [1, null, ""x""]}","2026-03-14 10:00:00")`,
		`(never,DISCARD,DISCARD,,,,"2026-03-14 10:00:00",,,"2026-03-14 10:00:00")`,
		`(strange,HIBERNATING,HIBERNATING,,,"2026-03-14 10:00:00",,,,"2026-03-14 10:00:00")`,
		`(waiting,WAIT,WAIT,,,,,,,"2026-03-14 10:00:00")`,
		`(word,SUCCESS,Succeeded,,,"2026-03-14 10:00:00",,,,"2026-03-14 10:00:00")`,
	}
	for _, zone := range []string{"UTC", "Asia/Kolkata", "America/St_Johns", "Asia/Kathmandu"} {
		conn, err := a.SQL.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `SELECT set_config('timezone', $1, false)`, zone); err != nil {
			t.Fatal(err)
		}
		var got []string
		rows, err := conn.Query(t.Context(), `
			SELECT (request_id, status, source_status, error_code, error_message,
			        start_time AT TIME ZONE 'UTC', end_time AT TIME ZONE 'UTC',
			        duration_seconds, extra, window_start AT TIME ZONE 'UTC')::text
			  FROM invocation_history
			 ORDER BY request_id`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				t.Fatal(err)
			}
			got = append(got, row)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		conn.Release()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("seen from %s (-want +got):\n%s", zone, diff)
		}
	}
}

// NUL and invalid UTF-8 in any text of a source do not prevent that a function is
// listed, a run is ended or a rejected record is stored.
func TestForeignTextsAreMended(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	const foreign = "said " + nul + " and \xff\xfe"
	const mended = "said � and �"
	s := hours(today, 1)
	t.Run("Fail", func(t *testing.T) {
		a := a.in(t)
		if _, err := c.Fail(t.Context(), s, archive.Refusal{Reason: foreign}, noted); err != nil {
			t.Fatal(err)
		}
		if got := value[string](a, `SELECT last_error FROM windows`); got != mended {
			t.Errorf("last_error is %q", got)
		}
	})
	t.Run("Outcome", func(t *testing.T) {
		b := lastPage(s, noted)
		b.Outcome = &archive.Outcome{State: archive.StateShort, Err: foreign}
		if _, err := c.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("EndRun", func(t *testing.T) {
		a := a.in(t)
		id, err := a.store.BeginRun(t.Context(), archive.Order{AskedBy: "once", Range: s}, noted)
		if err != nil {
			t.Fatal(err)
		}
		ended := &archive.SourceError{Err: foreignError(foreign)}
		if err := a.store.EndRun(t.Context(), id, archive.Summary{}, ended, later); err != nil {
			t.Fatal(err)
		}
		if got := value[string](a, `SELECT error FROM runs`); got != mended {
			t.Errorf("error is %q", got)
		}
	})
	t.Run("Reject", func(t *testing.T) {
		a := a.in(t)
		b := lastPage(s, noted)
		b.Rejected = []archive.Rejected{{Reason: foreign, Payload: []byte(foreign)}}
		if _, err := c.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if got := value[string](a, `SELECT payload FROM rejected_records`); got != mended {
			t.Errorf("payload is %q", got)
		}
	})
}

type foreignError string

func (e foreignError) Error() string { return string(e) }
