package days

import (
	"context"
	_ "embed" // statements
	"fmt"
)

//go:embed locks.sql
var selectLocks string

// Locks are the locks of a query that cannot tell its days while it is planned, and the
// locks that the server has room for.
type Locks struct {
	Query, Room int
	Sessions    int // that share the room: max_connections and max_prepared_transactions
}

// queriesAtOnce is how many such queries the server must have room for.
const queriesAtOnce = 16

// Needed is the max_locks_per_transaction that the days need, or 0 if the server has
// room.
func (l Locks) Needed() int {
	if l.Query*queriesAtOnce <= l.Room {
		return 0
	}
	return (l.Query*queriesAtOnce + l.Sessions - 1) / l.Sessions
}

// Locks counts the locks.
func (s *Days) Locks(ctx context.Context) (l Locks, err error) {
	if err := s.db.Pool.QueryRow(ctx, selectLocks).Scan(&l.Query, &l.Room, &l.Sessions); err != nil {
		return l, fmt.Errorf("count locks: %w", err)
	}
	return l, nil
}
