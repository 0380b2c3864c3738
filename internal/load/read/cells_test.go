package read_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/read"
)

// A cell equals the windows of its hour or day in the view, also if they are off.
func TestCells(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	r := rand.New(rand.NewPCG(3, 9))
	known := []archive.Known{a.Function("f"), a.Function("g"), a.Function("h")}
	ids := []int32{known[0].ID, known[1].ID, known[2].ID}
	a.Exec(`
		INSERT INTO windows (function_id, window_start, state, planned, records, pending, rejected, missed, acknowledged_at)
		SELECT f, $2::timestamptz + n * interval '1 hour', (ARRAY['complete', 'complete', 'complete', 'pending', 'partial', 'short', 'failed', 'gone', 'expired'])[1 + (n * 7 + f) % 9],
		       n % 11 > 0, (n % 3) * (f % 2), CASE WHEN n % 6 = 2 THEN f % 2 ELSE 0 END, (n % 13 = 0)::integer,
		       n % 2 = 0, CASE WHEN n % 3 = 0 THEN $2 END
		  FROM unnest($1::integer[]) AS f, generate_series(0, 24 * 12 - 1) AS n`, ids, loadtest.Today)
	// The log is off between all kinds of times: on the border of a day, within a
	// day, for longer than the range.
	for _, f := range known {
		c := a.Claim(f)
		at, on := loadtest.Today.AddDate(0, 0, -2), false
		for version := 1; at.Before(loadtest.Today.AddDate(0, 0, 14)); version++ {
			loadtest.Keep(t, c, loadtest.Answer(loadtest.Told(f.URN, version, at, on)), at.Add(time.Second))
			step := []time.Duration{12 * time.Hour, 24 * time.Hour, 6 * time.Hour, 3 * 24 * time.Hour, 90 * time.Minute}[r.IntN(5)]
			at, on = at.Add(step), !on
		}
	}
	from, to := loadtest.Today.AddDate(0, 0, 1), loadtest.Today.AddDate(0, 0, 11)
	for _, grain := range []read.Grain{read.Hourly, read.Daily} {
		var cells, sums []read.Cell
		err := a.Read.Snapshot(t.Context(), func(s *read.Snapshot) (err error) {
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
			 count(*) FILTER (WHERE c.state = 'expired'), count(*) FILTER (WHERE c.state = 'expired' AND missed AND w.acknowledged_at IS NULL),
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

func cellsBy(a *loadtest.Archive, sql string, args ...any) []read.Cell {
	a.T.Helper()
	rows, err := a.SQL.Query(a.T.Context(), sql, args...)
	if err != nil {
		a.T.Fatal(err)
	}
	cells, err := pgx.CollectRows(rows, pgx.RowToStructByPos[read.Cell])
	if err != nil {
		a.T.Fatal(err)
	}
	return cells
}
