package load

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/load/pg"
)

// An Asked is a statement that was sent to the database.
type Asked struct {
	SQL  string
	Args []any
}

type asking struct {
	mu  sync.Mutex
	all []Asked
}

func (a *asking) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, Asked{d.SQL, d.Args})
	return ctx
}

func (a *asking) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Watched is an archive whose store records its statements.
type Watched struct {
	*archiveDB
	Store *rooms
	asked *asking
}

// NewWatched makes a Watched.
func NewWatched(t *testing.T) *Watched {
	t.Helper()
	w := &Watched{archiveDB: newArchive(t), asked: &asking{}}
	config, err := pg.Config(w.url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Tracer = w.asked
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	db := openStore(t, w.url).db
	plain := db.Pool
	db.Pool = pool
	w.Store = newRooms(db)
	t.Cleanup(func() {
		pool.Close()
		db.Pool = plain
	})
	return w
}

// Exec runs a statement on the plain connections.
func (w *Watched) Exec(sql string, args ...any) { w.exec(sql, args...) }

// Asked are the queries of the store since the last call, without BEGIN and the like.
func (w *Watched) Asked() (all []Asked) {
	w.asked.mu.Lock()
	defer w.asked.mu.Unlock()
	for _, a := range w.asked.all {
		if sql := strings.TrimSpace(a.SQL); strings.HasPrefix(sql, "SELECT") || strings.HasPrefix(sql, "WITH") {
			all = append(all, a)
		}
	}
	w.asked.all = nil
	return all
}

// Blocks is how many blocks a query reads.
func (w *Watched) Blocks(a Asked) int { return w.blocks(a.SQL, a.Args...) }
