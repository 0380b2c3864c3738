package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/pgserver"
	"archiver/internal/serve"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

const (
	accessKey = "bench-access-key"
	secretKey = "bench-secret-key"
	token     = "bench-token"
	pageSize  = 500
)

// date is the day that is replayed. Any day in the past will do.
var date = time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)

// The days, named by their number of functions.
const (
	smallDay = 140
	largeDay = 500
)

var invocationsOf = map[int]int{smallDay: 758_203, largeDay: 4_451_143}

// day returns the published day with this number of functions. It looks in the
// folder of the trace that ARCHIVER_TEST_TRACE names, or in ../shared/traces. If
// there is no published day, it generates a day of the same size.
func (b *bench) day(functions int) (*dataset.Data, error) {
	if data := b.days[functions]; data != nil {
		return data, nil
	}
	dir := filepath.Join("..", "shared", "traces")
	if prefix := os.Getenv("ARCHIVER_TEST_TRACE"); prefix != "" {
		dir = filepath.Dir(prefix)
	}
	prefix := filepath.Join(dir, strconv.Itoa(functions))
	var data *dataset.Data
	var err error
	if _, absent := os.Stat(prefix + "_inv.csv"); absent == nil {
		data, err = dataset.LoadTrace(prefix, date, 1)
	} else {
		b.progress("no published day of %d functions: using a generated day of the same size", functions)
		data, err = dataset.Generate(dataset.GenerateOptions{
			Functions: functions, Invocations: invocationsOf[functions], Date: date, Seed: 1,
		})
	}
	if err == nil {
		b.days[functions] = data
	}
	return data, err
}

// api is a simulated source that is being served.
type api struct {
	*simulate.Server
	url  string
	stop func()
}

// serveAPI starts a simulated source. The caller stops it.
func serveAPI(o simulate.Options) (*api, error) {
	o.AccessKey, o.SecretKey, o.Token = accessKey, secretKey, token
	server, err := simulate.New(o)
	if err != nil {
		return nil, err
	}
	web, err := serve.Start(context.Background(), serve.Options{Handler: server, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return &api{Server: server, url: web.URL(), stop: web.Stop}, nil
}

// fewest is the smallest number of pages that all records of the source fit in.
func (a *api) fewest() (pages int) {
	for _, f := range a.Functions() {
		pages += max(1, (f.Records+pageSize-1)/pageSize)
	}
	return pages
}

// database creates an empty database and returns its address.
func (b *bench) database(ctx context.Context, name string) (string, error) {
	if err := b.exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	address, err := url.Parse(b.server.URL())
	if err != nil {
		return "", err
	}
	address.Path = "/" + name
	return address.String(), nil
}

func (b *bench) drop(ctx context.Context, name string) error {
	if err := b.exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// exec runs a statement in the server's own database.
func (b *bench) exec(ctx context.Context, statement string) error {
	return pgserver.Exec(ctx, b.server.URL(), statement)
}

// archive creates a database with the archive's schema and opens it. The caller
// closes the store.
func (b *bench) archive(ctx context.Context, name string, conns int) (*pg.DB, string, error) {
	address, err := b.database(ctx, name)
	if err != nil {
		return nil, "", err
	}
	migrator, err := pg.NewMigrator(ctx, address)
	if err != nil {
		return nil, "", err
	}
	defer migrator.Close()
	if _, err := migrator.Up(ctx); err != nil {
		return nil, "", err
	}
	db, err := pg.Open(ctx, address, conns, b.log)
	return db, address, err
}

func newStore(db *pg.DB) *load.Store { return load.New(db, days.New(db)) }

func invocations(data *dataset.Data) (n int) {
	for i := range data.Functions() {
		for range data.Records(i) {
			n++
		}
	}
	return n
}
