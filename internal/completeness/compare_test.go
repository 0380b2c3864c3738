package completeness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// A tally counts windows at the end of histories.
type tally struct {
	complete int
	open     map[string]int // by state and excuse
}

func (t *tally) add(o tally) {
	t.complete += o.complete
	if t.open == nil {
		t.open = make(map[string]int)
	}
	for why, n := range o.open {
		t.open[why] += n
	}
}

// A window is a window as the table has it.
type window struct {
	urn              string
	at               time.Time
	state            string
	planned          bool
	why              string       // of a window that is not complete
	refused          archive.Span // the smallest question that failed; zero if none is noted
	records, pending int
	rows, rowsOpen   int // of the table: all, and those in flight
}

func (d *database) windows(ctx context.Context, project string) ([]window, error) {
	rows, err := d.conn.Query(ctx, `
		SELECT f.function_urn, w.window_start, w.state, w.planned, COALESCE(w.last_error, to_jsonb(w)->>'reason', ''),
		       COALESCE((to_jsonb(w)->>'refused_from')::timestamptz, '0001-01-01Z'), COALESCE((to_jsonb(w)->>'refused_to')::timestamptz, '0001-01-01Z'),
		       w.records, w.pending, COALESCE(h.n, 0), COALESCE(h.pending, 0)
		  FROM archiver_internal.windows w
		  JOIN functions f USING (function_id)
		  LEFT JOIN (
			SELECT i.function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC') AS window_start,
			       count(*) AS n, count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS pending
			  FROM invocations i JOIN functions USING (function_id) WHERE project_id = $1 GROUP BY 1, 2) h
		 USING (function_id, window_start)
		 WHERE f.project_id = $1`, project)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w window, err error) {
		err = row.Scan(&w.urn, &w.at, &w.state, &w.planned, &w.why, &w.refused.From, &w.refused.To, &w.records, &w.pending, &w.rows, &w.rowsOpen)
		w.at, w.refused.From, w.refused.To = w.at.UTC(), w.refused.From.UTC(), w.refused.To.UTC()
		return w, err
	})
}

// archived returns the rows of the project.
func (d *database) archived(ctx context.Context, project string) (map[string]record, []string, error) {
	table := make(map[string]record)
	var problems []string
	rows, err := d.conn.Query(ctx, `
		SELECT request_id, status, start_time, end_time
		  FROM invocations JOIN functions USING (function_id) WHERE project_id = $1`, project)
	if err != nil {
		return nil, nil, err
	}
	var r record
	var start, end *time.Time
	_, err = pgx.ForEachRow(rows, []any{&r.id, &r.status, &start, &end}, func() error {
		if _, twice := table[r.id]; twice {
			problems = append(problems, r.id+" has two rows")
		}
		row := record{id: r.id, status: r.status}
		if start != nil {
			row.start = start.UTC()
		}
		if end != nil {
			row.end = end.UTC()
		}
		table[r.id] = row
		return nil
	})
	return table, problems, err
}

// checkPass checks how a run ended: if it says that all is archived, then no window of
// the functions that it knows is open.
func (d *database) checkPass(ctx context.Context, s *service, net *transport, pass int, project string, ended error) (problems []string, err error) {
	windows, err := d.windows(ctx, project)
	if err != nil {
		return nil, err
	}
	if s.reading.inFlight {
		unread, err := d.checkInFlight(ctx, s, pass, project, windows)
		if err != nil {
			return nil, err
		}
		problems = append(problems, unread...)
	}
	var incomplete *archive.IncompleteError
	switch {
	case errors.As(ended, &incomplete):
	case errors.Is(ended, errCrash) && pass < calmFrom:
		return problems, nil
	case ended != nil:
		return nil, fmt.Errorf("a run ended early: %w", ended)
	}
	l := s.limits.list
	if l.most > 0 && pass < l.until && l.counted && len(net.listed) < net.counted && (incomplete == nil || incomplete.List == nil) {
		problems = append(problems, fmt.Sprintf("pass %d counted %d functions, was given %d, and says %v", pass, net.counted, len(net.listed), ended))
	}
	open := 0
	due := s.order(passAt(pass)).Range
	for _, w := range windows {
		f := s.of(w.urn)
		switch archive.State(w.state) {
		case archive.StateComplete, archive.StateGone, archive.StateExpired:
		default:
			if !w.planned || f.denial.deleted {
				continue
			}
			if l.most > 0 && pass < l.until && !l.counted {
				continue // nothing shows that the list is not whole: the function may be deleted
			}
			open++
			if ended == nil && due.Holds(w.at) {
				problems = append(problems, fmt.Sprintf("pass %d says nothing of %s, which is %s", pass, f.at(w.at), w.state))
			}
		}
	}
	missed := incomplete != nil && incomplete.Missed > 0
	// To read such hours again takes more refused calls than a run makes.
	refusing := s.limits.ceiling > 0 && s.limits.beyond != beyondNothing && s.reading.count != countRight
	// What is complete cannot be compared once a record that fails has come to it.
	left := s.limits.poisonSeconds+s.limits.poisonRecords > 0 && incomplete != nil && incomplete.Left > 0 &&
		*incomplete == archive.IncompleteError{Left: incomplete.Left, First: incomplete.First}
	if pass == passes-1 && open == 0 && ended != nil && !missed && !refusing && !left && (l.most == 0 || l.until < pass) {
		problems = append(problems, fmt.Sprintf("no window is open, and the last run says %v", ended))
	}
	return problems, nil
}

// checkInFlight notes which records in flight the archive has not read yet. Such a record
// lies in a window that is not complete, unless it has arrived since.
func (d *database) checkInFlight(ctx context.Context, s *service, pass int, project string, windows []window) (problems []string, err error) {
	table, _, err := d.archived(ctx, project)
	if err != nil {
		return nil, err
	}
	complete := make(map[string]bool)
	for _, w := range windows {
		complete[w.urn+w.at.String()] = w.state == string(archive.StateComplete)
	}
	for _, f := range s.functions {
		for _, r := range f.records {
			if _, there := table[r.id]; r.inFlight() {
				r.unread = !there
				if r.unread && complete[f.urn+archive.WindowOf(r.first).String()] && s.reading.drift != arriving {
					problems = append(problems, fmt.Sprintf("pass %d says that %s is complete, and %s is in flight there and missing", pass, f.at(r.first), r.id))
				}
			}
		}
	}
	return problems, nil
}

func (s *service) of(urn string) *function {
	for _, f := range s.functions {
		if f.urn == urn {
			return f
		}
	}
	return &function{service: s}
}

// compare checks the table at the end of a history. All records of a complete window are
// in the table, once and unchanged, those included that the service has forgotten. A
// window that is not complete has a reason, and the table has its other records.
func (d *database) compare(ctx context.Context, s *service, project string) (of tally, problems []string, err error) {
	windows, err := d.windows(ctx, project)
	if err != nil {
		return of, nil, err
	}
	table, problems, err := d.archived(ctx, project)
	if err != nil {
		return of, nil, err
	}
	of.open = make(map[string]int)
	states := make(map[string]map[time.Time]window)
	for _, f := range s.functions {
		states[f.urn] = make(map[time.Time]window)
	}
	for _, w := range windows {
		f := s.of(w.urn)
		states[w.urn][w.at] = w
		if w.records != w.rows || w.pending != w.rowsOpen {
			problems = append(problems, fmt.Sprintf("%s counts %d records, %d in flight; the table has %d, %d", f.at(w.at), w.records, w.pending, w.rows, w.rowsOpen))
		}
		if w.state == string(archive.StateComplete) {
			of.complete++
			continue
		}
		if w.planned {
			problems = append(problems, f.judge(w)...)
		}
		of.open[w.state+" "+f.excuse(w)]++
	}
	known := make(map[string]bool)
	for _, f := range s.functions {
		for _, r := range f.records {
			known[r.id] = true
			row, there := table[r.id]
			w := states[f.urn][archive.WindowOf(f.filed(r))]
			says := w.state == string(archive.StateComplete)
			switch {
			case f.movedUnread(r):
			case !there && says:
				problems = append(problems, fmt.Sprintf("%s says complete, and %s is missing", f.at(f.filed(r)), r.id))
			case !there && f.reachable(r) && w.planned:
				problems = append(problems, fmt.Sprintf("%s %s, and %s is missing, which nothing hides", f.at(f.filed(r)), w.state, r.id))
			case there && says && !r.changed && !f.same(r, &row):
				problems = append(problems, fmt.Sprintf("%s of %s is %s %s/%s in the table, %s %s/%s at the service", r.id, f.at(f.filed(r)),
					row.status, row.start.Format(time.DateTime), row.end.Format(time.DateTime),
					r.status, r.start.Format(time.DateTime), r.end.Format(time.DateTime)))
			}
		}
		for id := range f.vanished {
			known[id] = true
		}
	}
	for id := range table {
		if !known[id] {
			problems = append(problems, id+" is no record of the service")
		}
	}
	return of, problems, nil
}

func (f *function) at(at time.Time) string { return f.name + " " + at.Format(time.DateTime) }

// same reports whether the row is what the service last gave of the record.
func (f *function) same(r, row *record) bool {
	if row.inFlight() && (f.forgot(r, passAt(passes-1)) || f.limits.poisonSeconds > 0) {
		return true // it may be forgotten before it is asked for again, or that question fails
	}
	return row.status == r.status && row.start.Equal(r.start) && row.end.Equal(r.end)
}
