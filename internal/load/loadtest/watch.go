package loadtest

import (
	"context"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/load/pg"
)

// An Asked is a statement that was sent to the database.
type Asked struct {
	SQL  string
	Args []any
}

type tracer struct {
	mu  sync.Mutex
	all []Asked
}

func (r *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, Asked{d.SQL, d.Args})
	return ctx
}

func (r *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Watch records the statements of the archive's process from now on. The function
// that it returns are the queries since its last call, without BEGIN and the like.
func (a *Archive) Watch() (asked func() []Asked) {
	a.T.Helper()
	var t tracer
	a.connectWith(func(config *pgxpool.Config) { config.ConnConfig.Tracer = &t })
	return func() (all []Asked) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, s := range t.all {
			if sql := strings.TrimSpace(s.SQL); strings.HasPrefix(sql, "SELECT") || strings.HasPrefix(sql, "WITH") {
				all = append(all, s)
			}
		}
		t.all = nil
		return all
	}
}

// Impatient is the archive as another process has it, which waits for no lock longer.
func (a *Archive) Impatient(lockTimeout string) *Archive {
	a.T.Helper()
	other := a.Open(a.URL)
	other.connectWith(func(config *pgxpool.Config) {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `SELECT set_config('lock_timeout', $1, false)`, lockTimeout)
			return err
		}
	})
	return other
}

// connectWith lets the archive's process use other connections.
func (a *Archive) connectWith(change func(*pgxpool.Config)) {
	a.T.Helper()
	config, err := pg.Config(a.URL)
	if err != nil {
		a.T.Fatal(err)
	}
	change(config)
	pool, err := pgxpool.NewWithConfig(a.T.Context(), config)
	if err != nil {
		a.T.Fatal(err)
	}
	db, plain := a.DB, a.DB.Pool
	db.Pool = pool
	a.use(db)
	a.T.Cleanup(func() {
		pool.Close()
		db.Pool = plain
	})
}
