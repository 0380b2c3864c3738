package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// column is the cost of a part of a row.
type column struct {
	name  string
	bytes float64
}

// rowHeader is the size of the header of a row with this many columns, and of the
// pointer to the row. The header includes the bitmap of NULL columns, because each
// row has some.
func rowHeader(columns int) float64 {
	const fixed, align, pointer = 23, 8, 4
	header := fixed + (columns+7)/8
	return float64((header+align-1)/align*align + pointer)
}

// columns are the costs of the columns on the archived day, largest first, then of
// the row header and the indexes.
func columns(ctx context.Context, database string) ([]column, error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	names, err := pg.CollectBy(ctx, conn, pgx.RowTo[string], "the columns", `
		SELECT attname::text FROM pg_attribute
		 WHERE attrelid = 'invocations'::regclass AND attnum > 0 AND NOT attisdropped
		 ORDER BY attnum`)
	if err != nil {
		return nil, err
	}
	var list []column
	header := rowHeader(len(names))
	sum := header
	for _, name := range names {
		c := column{name: "`" + name + "`"}
		err := conn.QueryRow(ctx, `SELECT COALESCE(sum(pg_column_size(`+pgx.Identifier{name}.Sanitize()+`)), 0)::float8 / count(*) FROM invocations`).Scan(&c.bytes)
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", name, err)
		}
		list = append(list, c)
		sum += c.bytes
	}
	slices.SortStableFunc(list, func(x, y column) int { return cmp.Compare(y.bytes, x.bytes) })
	list = append(list, column{"the row's header, and the pointer to it", header})

	var heap, rows float64
	err = conn.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM invocations)::float8, sum(pg_table_size(relid))::float8
		  FROM pg_partition_tree('invocations')`).Scan(&rows, &heap)
	if err != nil {
		return nil, fmt.Errorf("measure the tables: %w", err)
	}
	list = append(list, column{"padding, ends of blocks, maps", heap/rows - sum})
	ofRow := func(row pgx.CollectableRow) (c column, err error) {
		err = row.Scan(&c.name, &c.bytes)
		c.bytes /= rows
		return c, err
	}
	indexes, err := pg.CollectBy(ctx, conn, ofRow, "the indexes", `
		SELECT 'index on ' || a.attname || ' (' || am.amname || ')', sum(pg_relation_size(c.oid))::float8
		  FROM pg_partition_tree('invocations') t
		  JOIN pg_index i ON i.indrelid = t.relid
		  JOIN pg_class c ON c.oid = i.indexrelid
		  JOIN pg_am am ON am.oid = c.relam
		  JOIN LATERAL (
			SELECT string_agg(attname::text, ', ' ORDER BY attnum) AS attname
			  FROM pg_attribute WHERE attrelid = c.oid) a ON true
		 WHERE t.isleaf
		 GROUP BY a.attname, am.amname
		 ORDER BY 2 DESC`)
	if err != nil {
		return nil, err
	}
	total := heap / rows
	for _, c := range indexes {
		if c.bytes >= 0.05 { // the indexes of small partitions take almost no space
			list = append(list, c)
		}
		total += c.bytes
	}
	return append(list, column{"in all", total}), nil
}

func columnTable(columns []column) string {
	rows := [][]string{{"column", "bytes a row"}}
	for _, c := range columns {
		rows = append(rows, []string{c.name, fmt.Sprintf("%.1f", c.bytes)})
	}
	return markdown(rows)
}
