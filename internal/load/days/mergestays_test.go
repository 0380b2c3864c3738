package days_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load/loadtest"
)

func untold(int, int) {}

// A publication of all tables, and an operator's partition within the month, keep days
// from being merged: before anything is copied, and Unmerged says so. A writer of an old
// day makes the merge give up.
func TestMergeGivesUp(t *testing.T) {
	t.Parallel()
	a, c := aged(t)
	rows := loadtest.Value[string](a, allRows)
	s, log := logged(a)
	s.Days.UseClock(clocktest.New(loadtest.Noted))
	for _, kept := range []struct{ by, until, says string }{
		{`CREATE PUBLICATION all_tables FOR ALL TABLES`, `DROP PUBLICATION all_tables`, "the publication all_tables publishes"},
		{
			`CREATE TABLE archiver_days.mine PARTITION OF archiver_days.invocations_dated FOR VALUES FROM ('2025-05-20 00:00Z') TO ('2025-06-10 00:00Z')`,
			`DROP TABLE archiver_days.mine`, "the partition mine holds a part",
		},
	} {
		log.Reset()
		a.Exec(kept.by)
		months, err := s.Days.Unmerged(t.Context(), time.Time{}, false)
		if err != nil || len(months) != 1 || months[0].Stay == nil || !strings.Contains(months[0].Stay.Error(), kept.says) {
			t.Errorf("%s: unmerged are %+v, %v", kept.by, months, err)
		}
		if err := s.Days.Merge(t.Context(), time.Time{}, untold); err != nil || !strings.Contains(log.String(), kept.says) || strings.Contains(log.String(), "WARN") {
			t.Errorf("%s: %v\n%s", kept.by, err, log)
		}
		a.Exec(kept.until)
	}
	if loadtest.Value[bool](a, `SELECT current_setting('server_version_num')::integer >= 150000`) {
		log.Reset() // the table of the month would be published by itself
		a.Exec(`CREATE PUBLICATION of_schemas FOR TABLES IN SCHEMA public, archiver_days WITH (publish_via_partition_root = true)`)
		if err := s.Days.Merge(t.Context(), time.Time{}, untold); err != nil || !strings.Contains(log.String(), "the publication of_schemas publishes") {
			t.Errorf("published with the schema: %v\n%s", err, log)
		}
		a.Exec(`DROP PUBLICATION of_schemas`)
	}
	a.Exec(`CREATE PUBLICATION through_root FOR TABLE invocations WITH (publish_via_partition_root = true);
		CREATE TABLE archiver_days.next PARTITION OF archiver_days.invocations_dated FOR VALUES FROM ('2025-06-01 00:00Z') TO ('2025-06-10 00:00Z');
		ALTER TABLE archiver_days.next REPLICA IDENTITY FULL`)

	end := reader(a, `SELECT count(*) FROM invocations`)
	ended := make(chan error, 1)
	merge := func() { ended <- s.Days.Merge(t.Context(), time.Time{}, untold) }
	go merge()
	loadtest.Eventually(t, "the merge waits for the reader", func() bool { return waiting(a, "LOCK TABLE ONLY") > 0 })
	// A commit waits for the merge, and the merge gives up.
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(may, 1), loadtest.Later, loadtest.Record("late", archive.StatusSuccess, may)))
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "wait for readers: a writer waits") {
		t.Errorf("with a reader: %v", err)
	}
	end()

	// The copy of the first day takes long, and a writer of the second day comes.
	a.Exec(`
		CREATE FUNCTION archiver_internal.held() RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(17);
			RETURN true;
		END
		$$;
		ALTER TABLE invocations ADD CONSTRAINT held CHECK (archiver_internal.held()) NOT VALID`)
	end = reader(a, `SELECT pg_advisory_xact_lock(17)`)
	go merge()
	loadtest.Eventually(t, "the merge copies", func() bool { return waiting(a, "^COPY") > 0 })
	// The writers of the archive that wait hold all connections of the pool.
	var pool []*pgxpool.Conn
	for s.DB.Pool.Stat().AcquiredConns() < s.DB.Pool.Config().MaxConns {
		conn, err := s.DB.Pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pool = append(pool, conn)
	}
	written := make(chan error, 1)
	go func() {
		_, err := a.SQL.Exec(t.Context(), `DELETE FROM invocations_20250502 WHERE false`)
		written <- err
	}()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "a writer waits") {
		t.Errorf("with a writer: %v", err)
	}
	if err := <-written; err != nil || len(tables(a)) != 5 {
		t.Errorf("%v, tables are %s", err, tables(a))
	}
	for _, conn := range pool {
		conn.Release()
	}
	end()
	a.Exec(`ALTER TABLE invocations DROP CONSTRAINT held`)

	// A day that a crash of retention left empty is merged too.
	emptied(a, may.AddDate(0, 0, 1))
	if err := s.Days.Merge(t.Context(), time.Time{}, untold); err != nil || len(tables(a)) != 3 {
		t.Errorf("after them: %v, %s", err, tables(a))
	}
	a.Exec(`DELETE FROM invocations WHERE request_id = 'late'`)
	var left []string
	for _, row := range strings.Split(rows, "\n") {
		if !strings.Contains(row, "r0502-") {
			left = append(left, row)
		}
	}
	if diff := cmp.Diff(strings.Join(left, "\n"), loadtest.Value[string](a, allRows)); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
}

// A reader whose transaction began before a record settled would find it twice, since it
// sees the rows of a month whenever they came: the days stay until it has ended.
func TestMergeAfterARecordSettled(t *testing.T) {
	t.Parallel()
	a, c := aged(t)
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(may, 1), time.Now(), loadtest.Record("settles", archive.StatusWait, time.Time{})))
	tx, err := a.SQL.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM functions`); err != nil { // takes the snapshot
		t.Fatal(err)
	}
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(may, 1), time.Now(), loadtest.Record("settles", archive.StatusSuccess, may.Add(time.Minute))))
	if err := a.Days.Merge(t.Context(), time.Time{}, untold); err == nil || !strings.Contains(err.Error(), "a transaction goes on") {
		t.Errorf("with an older transaction: %v, %s", err, tables(a))
	}
	var status string
	if err := tx.QueryRow(t.Context(), `SELECT string_agg(status, ' ') FROM invocations WHERE request_id = 'settles'`).Scan(&status); err != nil || status != "WAIT" {
		t.Errorf("the transaction finds %q, %v", status, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Days.Merge(t.Context(), time.Time{}, untold); err != nil || len(tables(a)) != 2 {
		t.Errorf("after it: %v, %s", err, tables(a))
	}
	a.CheckWindows()
}
