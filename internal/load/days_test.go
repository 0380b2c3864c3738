package load

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// checkDays compares the days with a sum of their windows.
func checkDays(a *archiveDB) {
	a.t.Helper()
	wrong := a.rows(`
		WITH counted AS (
			SELECT function_id, date_trunc('day', window_start, 'UTC') AS day,
			       count(*) FILTER (WHERE planned)::integer AS windows,
			       count(*) FILTER (WHERE NOT planned)::integer AS unplanned,
			       count(*) FILTER (WHERE state = 'complete')::integer AS complete,
			       count(*) FILTER (WHERE state = 'complete' AND records + rejected = 0)::integer AS empty,
			       count(*) FILTER (WHERE state = 'complete' AND pending > 0)::integer AS in_flight,
			       count(*) FILTER (WHERE state = 'short')::integer AS short,
			       count(*) FILTER (WHERE state = 'failed')::integer AS failed,
			       count(*) FILTER (WHERE state = 'gone')::integer AS gone,
			       sum(records) AS records, sum(pending) AS pending, sum(rejected) AS rejected
			  FROM windows
			 GROUP BY 1, 2
		)
		SELECT c AS counted, d AS kept
		  FROM counted c
		  FULL JOIN window_days d USING (function_id, day)
		 WHERE (c.windows, c.unplanned, c.complete, c.empty, c.in_flight, c.short, c.failed, c.gone, c.records, c.pending, c.rejected)
		       IS DISTINCT FROM
		       (d.windows, d.unplanned, d.complete, d.empty, d.in_flight, d.short, d.failed, d.gone, d.records, d.pending, d.rejected)`)
	if len(wrong) > 0 {
		a.t.Errorf("days are not those of the windows (counted, kept):\n%s", strings.Join(wrong, "\n"))
	}
}

// A cell equals the windows of its hour or day in the view, also if they are off.
func TestCells(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	r := rand.New(rand.NewPCG(3, 9))
	known := []archive.Known{a.function("f"), a.function("g"), a.function("h")}
	ids := []int32{known[0].ID, known[1].ID, known[2].ID}
	a.exec(`
		INSERT INTO windows (function_id, window_start, state, planned, records, pending, rejected)
		SELECT f, $2::timestamptz + n * interval '1 hour', (ARRAY['complete', 'complete', 'complete', 'pending', 'partial', 'short', 'failed', 'gone'])[1 + (n * 7 + f) % 8],
		       n % 11 > 0, (n % 3) * (f % 2), CASE WHEN n % 6 = 2 THEN f % 2 ELSE 0 END, (n % 13 = 0)::integer
		  FROM unnest($1::integer[]) AS f, generate_series(0, 24 * 12 - 1) AS n`, ids, today)
	// The log is off between all kinds of times: on the border of a day, within a
	// day, for longer than the range.
	for _, f := range known {
		c := a.claim(f)
		at, on := today.AddDate(0, 0, -2), false
		for version := 1; at.Before(today.AddDate(0, 0, 14)); version++ {
			keep(t, c, answer(told(f.URN, version, at, on)), at.Add(time.Second))
			step := []time.Duration{12 * time.Hour, 24 * time.Hour, 6 * time.Hour, 3 * 24 * time.Hour, 90 * time.Minute}[r.IntN(5)]
			at, on = at.Add(step), !on
		}
	}
	from, to := today.AddDate(0, 0, 1), today.AddDate(0, 0, 11)
	for _, grain := range []read.Grain{read.Hourly, read.Daily} {
		var cells, sums []read.Cell
		err := a.store.Snapshot(t.Context(), func(s *read.Snapshot) (err error) {
			if cells, err = s.Cells(t.Context(), ids[:2], from, to, grain); err != nil {
				return err
			}
			sums, err = s.Sums(t.Context(), ids, from, to, grain)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		const counted = `
			 date_trunc($3, c.window_start, 'UTC'),
			 count(*) FILTER (WHERE planned), count(*) FILTER (WHERE c.state IN ('complete', 'off')),
			 count(*) FILTER (WHERE c.state = 'complete' AND c.pending > 0), count(*) FILTER (WHERE c.state = 'off'),
			 count(*) FILTER (WHERE c.state = 'short'), count(*) FILTER (WHERE c.state = 'failed'), count(*) FILTER (WHERE c.state = 'gone'),
			 sum(c.records)::bigint, sum(c.pending)::bigint
			  FROM window_states c
			  JOIN windows w USING (function_id, window_start)
			 WHERE c.function_id = ANY ($4::integer[]) AND c.window_start >= $1 AND c.window_start < $2
			 GROUP BY 1, 2
			 ORDER BY 1, 2`
		want := cellsBy(a, `SELECT c.function_id, `+counted, from, to, string(grain), ids[:2])
		if diff := cmp.Diff(want, cells, utc); diff != "" {
			t.Errorf("cells by %s (-windows +got):\n%s", grain, diff)
		}
		want = cellsBy(a, `SELECT 0, `+counted, from, to, string(grain), ids)
		if diff := cmp.Diff(want, sums, utc); diff != "" {
			t.Errorf("sums by %s (-windows +got):\n%s", grain, diff)
		}
		var off int64
		for _, c := range sums {
			off += c.Off
		}
		if off < 20 {
			t.Errorf("by %s only %d windows are off: this shows little", grain, off)
		}
	}
}

// utc compares times regardless of their zone.
var utc = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })

func cellsBy(a *archiveDB, sql string, args ...any) []read.Cell {
	a.t.Helper()
	rows, err := a.sql.Query(a.t.Context(), sql, args...)
	if err != nil {
		a.t.Fatal(err)
	}
	cells, err := pgx.CollectRows(rows, pgx.RowToStructByPos[read.Cell])
	if err != nil {
		a.t.Fatal(err)
	}
	return cells
}
