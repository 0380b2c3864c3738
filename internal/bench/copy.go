package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// copyDay is the time that pgx's CopyFrom takes for the day's rows by one
// connection: in the same batches as commit, a transaction each. The table has
// the columns of the archive's invocations. An indexed one also has the unique
// index of a day's table.
func (b *bench) copyDay(ctx context.Context, day []work, indexed bool) (took time.Duration, err error) {
	db, address, err := b.archive(ctx, "copy", 1)
	if err != nil {
		return 0, err
	}
	db.Close()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE TABLE copied (LIKE invocations INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`); err != nil {
		return 0, err
	}
	if indexed {
		if _, err := conn.Exec(ctx, `CREATE UNIQUE INDEX ON copied (request_id)`); err != nil {
			return 0, err
		}
	}
	columns := []string{
		"first_archived_at", "updated_at", "start_time", "end_time",
		"function_id", "request_id", "status", "error_code", "error_message",
	}
	began := time.Now()
	for i, w := range day {
		for _, page := range w.pages {
			source := pgx.CopyFromSlice(len(page), func(j int) ([]any, error) {
				inv := &page[j]
				return []any{date, date, inv.Start, inv.End, int32(i), inv.RequestID, inv.Status, orNil(inv.ErrorCode), orNil(inv.ErrorMessage)}, nil
			})
			if _, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, columns, source); err != nil {
				return 0, err
			}
		}
	}
	took = time.Since(began)
	return took, b.drop(ctx, "copy")
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
