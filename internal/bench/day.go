package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"archiver/internal/simulate"
)

// measureDay archives the day into an empty database, and reads the whole day again.
func measureDay(ctx context.Context, b *bench) ([]measure, error) {
	data, err := b.day(smallDay)
	if err != nil {
		return nil, err
	}
	source, err := serveAPI(simulate.Options{Data: data})
	if err != nil {
		return nil, err
	}
	defer source.stop()
	database, err := b.database(ctx, "day")
	if err != nil {
		return nil, err
	}
	first, err := b.measuredBackfill(ctx, endpoints{source.url, database})
	if err != nil {
		return nil, err
	}
	rows := float64(first.after.rows)
	if want := invocations(data); first.after.rows != int64(want) {
		return nil, fmt.Errorf("%d rows are archived of %d records", first.after.rows, want)
	}
	again, err := b.measuredBackfill(ctx, endpoints{source.url, database}, "--force")
	if err != nil {
		return nil, err
	}
	if b.columns, err = columns(ctx, database); err != nil {
		return nil, err
	}
	if err := b.drop(ctx, "day"); err != nil {
		return nil, err
	}

	micros := func(d float64) string { return fmt.Sprintf("%.1f µs", d*1e6/rows) }
	return []measure{
		figure("records a second", "%.0f", rows/first.took.Seconds()),
		figure("the same, read again", "%.0f", rows/again.took.Seconds()),
		atMost("peak resident memory, MiB", "%.1f", first.memory, 64),
		figure("processor time a record: archiver", "%s", micros(first.processor.Seconds())),
		figure("processor time a record: PostgreSQL", "%s", micros(first.server)),
		figure("processor time a record: the simulated source", "%s", micros(first.source)),
		atMost("bytes a row, indexes included", "%.0f", float64(first.after.bytes)/rows, 230),
		atMost("WAL bytes a row", "%.0f", float64(first.after.wal-first.before.wal)/rows, 260),
		atMost("rows written on reading the same again", "%.0f", float64(again.after.written-first.after.written), 0),
		figure("WAL bytes a row on reading the same again", "%.1f", float64(again.after.wal-again.before.wal)/rows),
	}, nil
}

// measuredProcess is a process and the database before and after it.
type measuredProcess struct {
	*process
	before, after  footprint
	server, source float64 // processor time of PostgreSQL and of this process, in seconds
}

func (b *bench) measuredBackfill(ctx context.Context, at endpoints, args ...string) (p measuredProcess, err error) {
	// After a checkpoint, the first change of a page logs the whole page. A
	// checkpoint here makes this happen at the same time in each run.
	if err := b.exec(ctx, "CHECKPOINT"); err != nil {
		return p, err
	}
	if p.before, err = measureFootprint(ctx, at.database); err != nil {
		return p, err
	}
	server, source := serverTime(p.before.postmaster), ownTime()
	if p.process, err = b.backfill(ctx, at, args...); err != nil {
		return p, err
	}
	p.server, p.source = serverTime(p.before.postmaster)-server, ownTime()-source
	p.after, err = measureFootprint(ctx, at.database)
	return p, err
}

// footprint is the size of the archive, and what was written for it so far.
type footprint struct {
	rows, bytes, written, wal int64
	postmaster                int
}

func measureFootprint(ctx context.Context, database string) (f footprint, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return f, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	var backend int
	// No other database of the cluster is written to at this time.
	err = conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn() - '0/0', pg_backend_pid()`).Scan(&f.wal, &backend)
	if err != nil {
		return f, fmt.Errorf("measure the log: %w", err)
	}
	if f.postmaster, err = parent(backend); err != nil {
		return f, err
	}
	var migrated bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('invocations') IS NOT NULL`).Scan(&migrated); err != nil || !migrated {
		return f, err
	}
	err = conn.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM invocations), sum(pg_total_relation_size(relid)),
		       (SELECT COALESCE(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)
		          FROM pg_stat_user_tables JOIN pg_partition_tree('invocations') USING (relid))
		  FROM pg_partition_tree('invocations')`).Scan(&f.rows, &f.bytes, &f.written)
	if err != nil {
		return f, fmt.Errorf("measure the archive: %w", err)
	}
	return f, nil
}
