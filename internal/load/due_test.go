package load

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
)

// countedDue selects what is due by counting all windows, in the simplest way.
const countedDue = `
	WITH hours AS (
		SELECT f.id, hour, w.state, COALESCE(w.retry_at > $10, false) AND NOT $4 AS waits
		  FROM unnest($1::integer[], $11::timestamptz[]) AS f (id, until)
		 CROSS JOIN generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
		  JOIN functions k ON k.function_id = f.id
		  LEFT JOIN windows w ON w.function_id = f.id AND w.window_start = hour
		 WHERE hour < f.until
		   AND ($4 OR w.state IS NULL OR w.state NOT IN ('complete', 'expired', 'gone') OR w.state = 'gone' AND k.gone_at IS NULL)
		 UNION ALL
		SELECT function_id, window_start, state, COALESCE(retry_at > $10, false)
		  FROM windows
		 WHERE function_id = ANY ($1) AND window_start < $2
		   AND planned AND state NOT IN ('complete', 'gone', 'expired') AND $5
	), due AS (
		SELECT id, CASE WHEN $6 THEN 0 ELSE count(hour) FILTER (WHERE NOT waits) END AS windows,
		       COALESCE(min(hour) FILTER (WHERE NOT waits), $2) AS oldest,
		       CASE WHEN NOT $6 THEN max(hour) FILTER (WHERE NOT waits) END AS newest,
		       CASE WHEN $6 THEN 0 ELSE count(hour) FILTER (WHERE waits) END AS waiting,
		       $7 AND EXISTS (
			SELECT FROM windows
			 WHERE function_id = id AND recheck_at <= $8) AS follow,
		       $6 OR EXISTS (
			SELECT FROM windows
			 WHERE function_id = id AND window_start >= $2 AND state = 'complete'
			   AND verified_at IS NULL AND completed_at <= $9) AS verify
		  FROM unnest($1::integer[]) AS id
		  LEFT JOIN hours USING (id)
		 GROUP BY id
	)
	SELECT id, windows, oldest, newest, waiting
	  FROM due
	 WHERE windows + waiting > 0 OR follow OR verify
	 ORDER BY oldest, windows DESC, id`

// countedPlan inserts every hour of the range in which a function has windows.
const countedPlan = `
	INSERT INTO windows AS w (function_id, window_start, planned)
	SELECT id, hour, true
	  FROM unnest($1::integer[], $4::timestamptz[]) AS f (id, until),
	       generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
	 WHERE hour < until
	    ON CONFLICT (function_id, window_start) DO UPDATE
	   SET planned = true
	 WHERE NOT w.planned`

// countedStatus selects the status by counting all windows.
const countedStatus = `
	WITH w AS (
		SELECT function_id,
		       count(*) FILTER (WHERE planned) AS windows,
		       count(*) FILTER (WHERE state = 'complete') AS complete,
		       count(*) FILTER (WHERE planned AND state NOT IN ('complete', 'gone', 'expired')) AS open,
		       count(*) FILTER (WHERE state = 'short') AS short,
		       count(*) FILTER (WHERE state = 'failed') AS failed,
		       count(*) FILTER (WHERE state = 'gone') AS gone,
		       count(retry_at) AS stuck, count(*) FILTER (WHERE state = 'expired') AS expired,
		       count(*) FILTER (WHERE state = 'expired' AND missed AND acknowledged_at IS NULL) AS missed,
		       min(window_start) FILTER (WHERE state = 'expired' AND missed AND acknowledged_at IS NULL) AS missed_since,
		       sum(records) AS records, sum(pending) AS pending, sum(rejected) AS rejected,
		       min(window_start) FILTER (WHERE planned) AS planned_from,
		       max(window_start) FILTER (WHERE planned) + interval '1 hour' AS planned_to,
		       min(window_start) FILTER (WHERE state = 'complete') AS complete_from,
		       max(window_start) FILTER (WHERE state = 'complete') + interval '1 hour' AS complete_to,
		       min(window_start) FILTER (WHERE planned AND state NOT IN ('complete', 'gone', 'expired')) AS open_since
		  FROM windows
		 GROUP BY function_id
	)
	SELECT f.function_id, COALESCE(f.source_id, 0), f.provider, f.region, f.project_id, f.function_urn, f.function_name, f.first_seen, f.gone_at, f.missing_since,
	       f.standing, f.excluded_since, f.ignored_at, f.ignored_by, f.ignored_reason,
	       COALESCE(w.windows, 0), COALESCE(w.complete, 0), COALESCE(w.open, 0),
	       COALESCE(w.short, 0), COALESCE(w.failed, 0), COALESCE(w.stuck, 0), COALESCE(w.gone, 0),
	       COALESCE(w.expired, 0), COALESCE(w.missed, 0),
	       COALESCE(w.records, 0), COALESCE(w.pending, 0), COALESCE(w.rejected, 0),
	       w.planned_from, w.planned_to, w.complete_from, w.complete_to, w.open_since, w.missed_since, e.last_error, NULL, NULL
	  FROM functions f
	  LEFT JOIN w USING (function_id)
	  LEFT JOIN LATERAL (
		SELECT last_error
		  FROM windows
		 WHERE function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired')
		   AND last_error IS NOT NULL
		 ORDER BY window_start DESC
		 LIMIT 1) e ON true
	 ORDER BY COALESCE(w.open, 0) > 0 DESC, w.open_since, f.function_name, f.function_id`

// randomize replaces the history of a function by a random one: periods of one state
// each, mostly complete. Some hours have no row.
func randomize(a *archiveDB, r *rand.Rand, f archive.Known) {
	a.Exec(`DELETE FROM windows WHERE function_id = $1`, f.ID)
	states := []string{"complete", "complete", "complete", "expired", "pending", "failed", "short", "gone", "chance", ""}
	kinds := states[:[]int{1, 6, 7, 8, len(states)}[r.IntN(5)]]
	until := 30 + r.IntN(20)
	for from := r.IntN(30); from < until; {
		to := min(until, from+1+r.IntN(12))
		if state := kinds[r.IntN(len(kinds))]; state != "" {
			a.Exec(`
				INSERT INTO windows (function_id, window_start, state, planned, last_error, completed_at, verified_at, recheck_at, retry_at, missed)
				SELECT $1, hour, CASE WHEN $4 = 'chance' THEN 'pending' ELSE $4 END, $4 <> 'chance',
				       CASE WHEN $4 = 'failed' THEN hour::text END,
				       CASE WHEN $4 = 'complete' THEN $5::timestamptz + $6 * interval '1 hour' END,
				       CASE WHEN $4 = 'complete' AND $7 THEN $5::timestamptz END,
				       CASE WHEN $8 THEN $5::timestamptz + $6 * interval '1 hour' END,
				       CASE WHEN $4 = 'failed' AND $9 THEN $5::timestamptz + $6 * interval '1 hour' END,
				       $4 = 'expired' AND $9
				  FROM generate_series($2::timestamptz, $3, interval '1 hour') AS hour`,
				f.ID, hour(from), hour(to-1), state, noted, r.IntN(6), r.IntN(3) > 0, r.IntN(8) == 0, r.IntN(2) == 0)
		}
		from = to
	}
	a.Exec(`UPDATE functions SET gone_at = CASE WHEN $2 THEN $3::timestamptz END WHERE function_id = $1`, f.ID, r.IntN(4) == 0, noted.AddDate(0, 0, -2))
}

// Due, Plan and the status read window_days. They are equal to a count of all windows.
func TestDuePlanAndStatusAreCounted(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	r := rand.New(rand.NewPCG(3, 9))
	known := make([]archive.Known, 12)
	ids := make([]int32, len(known))
	for i := range known {
		known[i] = a.Function(fmt.Sprint("f", i))
		ids[i] = known[i].ID
	}
	flip := func() bool { return r.IntN(2) == 0 }
	for round := range 40 {
		for _, f := range known[1:] { // the first has no windows until it is planned
			randomize(a, r, f)
		}
		a.CheckTotals()
		rows, err := a.SQL.Query(t.Context(), countedStatus)
		if err != nil {
			t.Fatal(err)
		}
		want, err := pgx.CollectRows(rows, pgx.RowToStructByPos[read.Function])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, a.Status(), cmpopts.IgnoreFields(read.Function{}, "RestsUntil")); diff != "" {
			t.Errorf("status (-counted +got):\n%s", diff)
		}
		for range 8 {
			from := r.IntN(45)
			o := archive.Order{
				Range: span(from, from+r.IntN(30)), Older: flip(), Force: r.IntN(8) == 0, Compare: r.IntN(8) == 0,
				Follow: flip(), VerifyAfter: time.Duration(r.IntN(5)) * time.Hour,
			}
			at := noted.Add(time.Duration(r.IntN(8)) * time.Hour)
			for i := range known {
				known[i].Missing = time.Time{}
				if r.IntN(4) == 0 {
					known[i].Missing = hour(r.IntN(50)).Add(7 * time.Minute)
				}
			}
			due, err := a.store.Due(t.Context(), known, o, at)
			if err != nil {
				t.Fatal(err)
			}
			plain := a.Rows(countedDue, ids, o.Range.From, o.Range.To,
				o.Force, o.Older, o.Compare, o.Follow, at, verifyDue(o, at), waitsAfter(o, at), untils(known))
			said := []string{}
			for _, d := range due {
				newest := ""
				if !d.Newest.IsZero() {
					newest = fmt.Sprintf(`"%s+00"`, d.Newest.Format(time.DateTime))
				}
				said = append(said, fmt.Sprintf(`(%d,%d,"%s+00",%s,%d)`, d.ID, d.Windows, d.Oldest.Format(time.DateTime), newest, d.Waiting))
			}
			if diff := cmp.Diff(plain, said); diff != "" {
				t.Errorf("round %d: due of %+v (-counted +got):\n%s", round, o, diff)
			}
		}
		checkPlan(a, r, known)
	}
}

// checkPlan compares Plan with countedPlan, for a random range of some functions.
func checkPlan(a *archiveDB, r *rand.Rand, known []archive.Known) {
	a.T.Helper()
	var due []archive.Due
	var planned []archive.Known
	for _, f := range known {
		if r.IntN(3) > 0 {
			due, planned = append(due, archive.Due{Known: f, Windows: 1}), append(planned, f)
		}
	}
	from := r.IntN(45)
	s := span(from, from+r.IntN(30))
	const windows = `SELECT function_id, window_start, state, planned FROM windows ORDER BY 1, 2`
	tx, err := a.SQL.Begin(a.T.Context())
	if err != nil {
		a.T.Fatal(err)
	}
	if _, err := tx.Exec(a.T.Context(), countedPlan, functionIDs(planned), s.From, s.To, untils(planned)); err != nil {
		a.T.Fatal(err)
	}
	rows, err := tx.Query(a.T.Context(), `SELECT q::text FROM (`+windows+`) AS q`)
	if err != nil {
		a.T.Fatal(err)
	}
	want, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		a.T.Fatal(err)
	}
	if err := tx.Rollback(a.T.Context()); err != nil {
		a.T.Fatal(err)
	}
	if err := a.store.Plan(a.T.Context(), due, archive.Order{Range: s}); err != nil {
		a.T.Fatal(err)
	}
	if diff := cmp.Diff(want, a.Rows(windows)); diff != "" {
		a.T.Errorf("the plan of %s (-every hour +got):\n%s", s, diff)
	}
	a.CheckTotals()
}

// The cost of Due, Plan and the status grows with window_days, and not with the
// windows. Costs are counted in blocks read.
func TestPlanningDoesNotGrow(t *testing.T) {
	t.Parallel()
	const functions = 10
	type costs map[string]int
	histories := map[string]string{
		"complete": `SELECT $1::integer + n, hour, 'complete', hour + interval '70 minutes'`,
		"read a moment ago, verified never": `
			SELECT $1 + n, hour, 'complete', $3::timestamptz`,
		"open but for the last day": `
			SELECT $1 + n, hour, CASE WHEN hour < $3::timestamptz - interval '1 day' THEN 'pending' ELSE 'complete' END, hour`,
		"one hour failed": `
			SELECT $1 + n, hour, CASE WHEN hour = $3::timestamptz - interval '9 hours' THEN 'failed' ELSE 'complete' END, hour`,
		"one hour unknown": `
			SELECT $1 + n, hour, 'complete', hour`,
	}
	cost := func(days int) costs {
		a := newArchive(t)
		now := today.AddDate(1, 0, 0)
		c := costs{}
		ranges := archive.Span{From: now.AddDate(0, 0, -7), To: now.Add(archive.Hour)}
		known := map[string][]archive.Known{}
		for name, history := range histories {
			for n := range functions {
				known[name] = append(known[name], a.Function(fmt.Sprint(name, n)))
			}
			a.Exec(`
				INSERT INTO windows (function_id, window_start, state, completed_at, planned)
				SELECT w.*, true
				  FROM (`+history+`
				  FROM generate_series(0, $4 - 1) AS n,
				       generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour) AS w`,
				known[name][0].ID, now.AddDate(0, 0, -days), now, functions)
			if name == "one hour unknown" {
				a.Exec(`DELETE FROM windows WHERE function_id BETWEEN $1 AND $2 AND window_start = $3`,
					known[name][0].ID, known[name][functions-1].ID, now.AddDate(0, 0, -3))
			}
		}
		a.Exec(`VACUUM ANALYZE windows, window_days`)
		c["window_days"] = a.Blocks(`SELECT sum(windows) FROM archiver_internal.window_days`)
		order := archive.Order{Range: ranges, Older: true, Follow: true, Rest: true, VerifyAfter: 6 * time.Hour}
		for name, known := range known {
			var answers dueAnswers
			for _, asked := range answers.batch(known, order, now).QueuedQueries {
				c["due: "+name] += a.Blocks(asked.SQL, asked.Arguments...)
			}
			c["plan: "+name] = a.Blocks(insertPlanned, pg.Args{"functions": functionIDs(known), "until": untils(known), "from": ranges.From, "to": ranges.To})
		}
		asked := a.Watch()
		a.Status()
		for _, asked := range asked() {
			c["status"] += a.Blocks(asked.SQL, asked.Args...)
		}
		return c
	}
	short, long := cost(14), cost(365)
	t.Log(short, long)
	days := long["window_days"]
	delete(long, "window_days")
	for what, blocks := range long {
		// Days are summed up from window_days, at most twice. Of windows nothing is
		// read that lies before the range. Indexes are a level or two deeper, and
		// which blocks a vacuum has visited differs from run to run. The history is
		// 26 times as long.
		if most := 3*(short[what]+functions) + 2*days; blocks > most {
			t.Errorf("%s: %d blocks at 365 days, %d at 14", what, blocks, short[what])
		}
	}
}
