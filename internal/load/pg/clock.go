package pg

import (
	"context"
	"fmt"
	"time"

	"archiver/internal/archive"
)

// Ahead returns how far the server's clock is ahead of a clock of this machine.
func (db *DB) Ahead(ctx context.Context, clock archive.Clock) (time.Duration, error) {
	conn, err := db.Pool.Acquire(ctx) // connecting takes long, and would make the answer vague
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	var now time.Time
	sent := clock.Now()
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return 0, fmt.Errorf("select the server's time: %w", err)
	}
	return archive.Ahead(now, sent, clock.Now(), time.Microsecond), nil // the type has no smaller step
}
