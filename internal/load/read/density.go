package read

import (
	"context"
	_ "embed" // statements
	"fmt"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// A Density is how many records the archive has of a function, in how many complete hours.
type Density struct{ Hours, Records int64 }

//go:embed density.sql
var selectDensity string

// Density returns what the archive has of functions, by their number.
func (a *Archive) Density(ctx context.Context, functions []int32) (map[int32]Density, error) {
	found := make(map[int32]Density)
	_, err := pg.CollectBy(ctx, a.db.Pool, func(row pgx.CollectableRow) (d Density, err error) {
		var function int32
		err = row.Scan(&function, &d.Hours, &d.Records)
		found[function] = d
		return d, err
	}, "what is archived of functions", selectDensity, pg.Args{"functions": functions})
	return found, err
}

// RowBytes returns how many bytes a row takes with its indexes: the mean of all days that have
// statistics, 0 if there are none.
func (a *Archive) RowBytes(ctx context.Context) (bytes float64, err error) {
	err = a.db.Pool.QueryRow(ctx, `
		SELECT COALESCE(sum(pg_total_relation_size(c.oid)) / NULLIF(sum(c.reltuples), 0), 0)::double precision
		  FROM pg_class c
		  JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE n.nspname = $1 AND c.relkind = 'r' AND c.reltuples > 0`, a.db.Schema.Days).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("read the size of rows: %w", err)
	}
	return bytes, nil
}
