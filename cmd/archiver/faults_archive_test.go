package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/loop"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
	"archiver/internal/supervise"
)

// maxProblems bounds the errors of a test: one cause can make thousands of records
// differ.
const maxProblems = 8

// compared says what to compare with the source.
type compared struct {
	// Only records in windows that this takes are compared; nil for all.
	only func(function int, r dataset.Record) bool
	// open are windows that are not complete. Their records may be missing, or may have
	// moved since they were read.
	open map[string]bool
}

// archivedRows returns the rows of each function, by name and request id.
func archivedRows(in *installation) map[string]map[string]dataset.Record {
	in.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT function_name, request_id, source_status, COALESCE(error_code, '0')::integer, COALESCE(error_message, ''),
		       start_time, end_time, COALESCE(extra::text, '')
		  FROM invocation_history`)
	if err != nil {
		in.t.Fatal(err)
	}
	found := make(map[string]map[string]dataset.Record)
	var name string
	var r dataset.Record
	var start, end *time.Time
	_, err = pgx.ForEachRow(rows, []any{&name, &r.RequestID, &r.Status, &r.ErrorCode, &r.ErrorMessage, &start, &end, &r.Extra}, func() error {
		if found[name] == nil {
			found[name] = make(map[string]dataset.Record)
		}
		if _, twice := found[name][r.RequestID]; twice {
			in.t.Errorf("%s has two rows", r.RequestID)
		}
		row := r
		row.Start, row.End, row.Extra = utc(start), utc(end), canonical(in.t, r.Extra)
		found[name][r.RequestID] = row
		return nil
	})
	if err != nil {
		in.t.Fatal(err)
	}
	return found
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// canonical writes a JSON object in one way: jsonb keeps neither order nor spaces.
func canonical(t testing.TB, object string) string {
	t.Helper()
	if object == "" {
		return ""
	}
	var v any
	if err := json.Unmarshal([]byte(object), &v); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// windowKey returns a name for a window of a function.
func windowKey(name string, start time.Time) string {
	return name + " " + archive.WindowOf(start).Format("01-02T15")
}

// compareAll checks that the archive has each record of the source once and as the
// source has it, no other record, what no row can hold as rejected, and windows with
// the numbers of their rows.
func compareAll(in *installation, api *simulate.Server, c compared) {
	in.t.Helper()
	var problems []string
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%.300s", fmt.Sprintf(format, args...)))
	}
	found := archivedRows(in)
	rejected := counts(in, `SELECT function_name, count(*) FROM rejected_records JOIN functions USING (function_id) GROUP BY 1`)
	compared := 0
	for i, f := range api.Functions() {
		rows := found[f.Name]
		for r := range api.Truth(i) {
			row, there := rows[r.RequestID]
			delete(rows, r.RequestID)
			if c.only != nil && !c.only(i, r) {
				continue
			}
			compared++
			r.Extra = canonical(in.t, r.Extra)
			switch {
			case row == r, c.open[windowKey(f.Name, r.Start)], c.open[windowKey(f.Name, row.Start)]:
			case !there:
				complain("missing: %s %+v", f.Name, r)
			default:
				complain("differs: %s source %+v archive %+v", f.Name, r, row)
			}
		}
		// A record that was read before it vanished stays.
		for _, id := range api.Vanished(i) {
			delete(rows, id)
		}
		if f.Gone || f.Broken {
			continue
		}
		for id := range rows {
			complain("no record of the source: %s %s", f.Name, id)
		}
		compared += api.Unusable(i)
		if want := int64(api.Unusable(i)); c.only == nil && len(c.open) == 0 && rejected[f.Name] != want {
			complain("%s: %d records are set aside, want %d", f.Name, rejected[f.Name], want)
		}
	}
	if compared == 0 {
		complain("nothing was compared")
	}
	if n := queryValue[int64](in, `
		SELECT count(*)
		  FROM window_coverage w
		  FULL JOIN (
			SELECT function_urn, window_start, count(*) AS n, count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS p
			  FROM invocation_history GROUP BY 1, 2) h
		 USING (function_urn, window_start)
		 WHERE (COALESCE(h.n, 0), COALESCE(h.p, 0)) IS DISTINCT FROM (w.records::bigint, w.pending::bigint)`); n != 0 {
		complain("%d windows whose counts are not those of their rows", n)
	}
	slices.Sort(problems)
	for _, p := range problems[:min(len(problems), maxProblems)] {
		in.t.Error(p)
	}
	if len(problems) > maxProblems {
		in.t.Errorf("and %d more of %d records", len(problems)-maxProblems, compared)
	}
}

// openWindows returns the windows that are not complete, by windowKey.
func openWindows(in *installation) map[string]bool {
	in.t.Helper()
	open := make(map[string]bool)
	for key := range counts(in, `
		SELECT function_name || to_char(window_start AT TIME ZONE 'UTC', ' MM-DD"T"HH24'), 1
		  FROM archiver_internal.windows JOIN functions USING (function_id) WHERE state <> 'complete'`) {
		open[key] = true
	}
	return open
}

// An ending is how a run of archiver ended.
type ending struct {
	code           int
	stdout, stderr string
}

// archiveIn runs an archiver of this process as the command line would.
func archiveIn(t testing.TB, archiver *loop.Archiver, o archive.Order) ending {
	t.Helper()
	var out, errs bytes.Buffer
	err := supervise.ArchiveAndTell(within(t), archiver, o, archiver.Log, &out, &errs, "")
	e := ending{stdout: out.String()}
	if err != nil {
		e.code, e.stderr = exitIncomplete, errs.String()+err.Error()
	}
	return e
}
