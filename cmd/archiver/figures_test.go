package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive/clocktest"
	"archiver/internal/load/pg"
	"archiver/internal/pgserver"
	"archiver/internal/supervise"
)

// wrongFigures are hours whose figures are not those of their rows.
const wrongFigures = `
	SELECT count(*)
	  FROM (SELECT function_urn, window_start, count(*) AS records, count(*) FILTER (WHERE status = 'FAIL') AS fail,
	               count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS in_flight
	          FROM invocation_history GROUP BY 1, 2) AS h
	  FULL JOIN function_hourly f USING (function_urn, window_start)
	 WHERE (h.records, h.fail, h.in_flight) IS DISTINCT FROM (f.records, f.fail, f.in_flight)`

// During a pass, figures are counted every five minutes.
func TestFiguresDuringAPass(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 2, 100, 1))
	in := install(t, web.URL)
	in.backfill()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	store, err := pg.Open(ctx, in.database, 2, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	clock := clocktest.New(day)
	m := (&supervise.Set{DB: store}).Maintenance(clock)
	stop := m.CountDuring(ctx, slog.New(slog.DiscardHandler))
	at := day
	for range 3 {
		if _, err := conn.Exec(ctx, `
			DELETE FROM archiver_internal.hourly_figures;
			INSERT INTO archiver_internal.hourly_figures_due SELECT function_id, window_start FROM archiver_internal.windows`); err != nil {
			t.Fatal(err)
		}
		at = at.Add(supervise.FiguresEvery)
		if err := clock.AwaitSleeper(ctx, at); err != nil {
			t.Fatal(err)
		}
		clock.Advance(supervise.FiguresEvery)
		// It sleeps again after it has counted.
		if err := clock.AwaitSleeper(ctx, at.Add(supervise.FiguresEvery)); err != nil {
			t.Fatal(err)
		}
		if n := queryValue[int](in, wrongFigures); n != 0 {
			t.Errorf("%s: %d hours have other figures than rows", at.Format(time.TimeOnly), n)
		}
	}
	stop()
}

// Connections that are lost while figures are counted cost time, as during the pass.
func TestFiguresInTrouble(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 2, 100, 1))
	in := install(t, web.URL)
	if err := pgserver.Exec(t.Context(), in.database, `
		CREATE SEQUENCE archiver_internal.counts;
		CREATE FUNCTION archiver_internal.lose() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('archiver_internal.counts') <= 3 THEN
				PERFORM pg_terminate_backend(pg_backend_pid());
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER lose BEFORE INSERT ON archiver_internal.hourly_figures FOR EACH ROW EXECUTE FUNCTION archiver_internal.lose()`); err != nil {
		t.Fatal(err)
	}
	in.backfill()
	if queryValue[int64](in, `SELECT last_value FROM archiver_internal.counts`) <= 3 {
		t.Error("no count was lost")
	}
	if n := queryValue[int64](in, wrongFigures); n != 0 {
		t.Errorf("the figures of %d hours are wrong", n)
	}
}
