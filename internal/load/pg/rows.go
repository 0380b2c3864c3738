package pg

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Args are the named parameters of a statement: @name in the SQL. A name that is
// missing or not used is an error.
type Args = pgx.StrictNamedArgs

// Collect runs a query and reads its rows into structs, by position. what names the
// rows in errors.
func Collect[T any](ctx context.Context, q Querier, what, sql string, args ...any) ([]T, error) {
	return CollectBy(ctx, q, pgx.RowToStructByPos[T], what, sql, args...)
}

// CollectBy runs a query and reads each of its rows with the function.
func CollectBy[T any](ctx context.Context, q Querier, read pgx.RowToFunc[T], what, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("select %s: %w", what, err)
	}
	collected, err := pgx.CollectRows(rows, read)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return collected, nil
}

// OrNull is NULL for the zero time.
func OrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// OrZero is the zero time for NULL.
func OrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Storable is a text as PostgreSQL can hold it: invalid UTF-8 and NUL become U+FFFD.
func Storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
