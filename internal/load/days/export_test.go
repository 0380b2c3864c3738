package days

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	LockPatience = lockPatience
	Storage      = storage
)

var (
	SelectTables = selectTables
	IsBlocked    = isBlocked
)

// Empty takes only the first step of retention.
func (s *Days) Empty(ctx context.Context, conn *pgx.Conn, d time.Time) error {
	return (&retention{Days: s, conn: conn, concurrently: true}).empty(ctx, dayOf(d))
}

// DropAtOnce drops a day as before PostgreSQL 14.
func (s *Days) DropAtOnce(ctx context.Context, conn *pgx.Conn, d time.Time) error {
	return (&retention{Days: s, conn: conn}).drop(ctx, OldDay{part: dayOf(d)})
}
