package read

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"archiver/internal/load/pg"
)

// A Size is the disk that the archive takes. The JSON is that of archiver status --json.
type Size struct {
	// Bytes are those of all tables with their indexes.
	Bytes int64 `json:"bytes"`
	// BytesADay are those of the records of a day: the mean of the last seven UTC days that
	// have ended and have records.
	BytesADay int64 `json:"bytes_a_day"`
}

//go:embed size.sql
var selectSize string

// Size reads how much disk the archive takes at a time. It waits for no lock of a writer.
func (a *Archive) Size(ctx context.Context, now time.Time) (s Size, err error) {
	schema := a.db.Schema
	err = a.db.Pool.QueryRow(ctx, selectSize, pg.Args{
		"schemas": []string{schema.People, schema.Internal, schema.Days}, "days": schema.Days,
		"from": now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -7),
	}).Scan(&s.Bytes, &s.BytesADay)
	if err != nil {
		return s, fmt.Errorf("read the size of the archive: %w", err)
	}
	return s, nil
}
