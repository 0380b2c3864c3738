package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/simulate"
)

const (
	accessKey = "bench-access-key"
	secretKey = "bench-secret-key"
	pageSize  = 500
)

// measureDay archives the day with the real binary, a process of its own, so
// that its memory is the archiver's alone.
func measureDay(ctx context.Context, b *bench) ([]measure, error) {
	api, err := simulate.New(simulate.Options{Data: b.data, AccessKey: accessKey, SecretKey: secretKey})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(listener) }() // it ends with an error by design
	defer web.Close()

	database, err := b.database(ctx, "day")
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(".archiver", "bin", "archiver-bench")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/archiver").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the archiver: %w: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, binary, "backfill",
		"--from", date.Format(time.DateOnly), "--to", date.AddDate(0, 0, 1).Format(time.DateOnly))
	cmd.Env = append(os.Environ(),
		"DATABASE_URL="+database, "ARCHIVER_ENDPOINT=http://"+listener.Addr().String(),
		"ARCHIVER_REGION="+simulate.DefaultRegion, "HUAWEICLOUD_SDK_PROJECT_ID="+simulate.DefaultProjectID,
		"HUAWEICLOUD_SDK_AK="+accessKey, "HUAWEICLOUD_SDK_SK="+secretKey, "ARCHIVER_LOG_LEVEL=warn")
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return nil, fmt.Errorf("archive the day: %w: %s", err, out)
	}
	rows, bytes, err := archiveSize(ctx, database)
	if err != nil {
		return nil, err
	}
	if want := invocations(b.data); rows != int64(want) {
		return nil, fmt.Errorf("%d rows are archived of %d records", rows, want)
	}
	fewest := 0
	for _, f := range api.Functions() {
		fewest += max(1, (f.Records+pageSize-1)/pageSize)
	}
	calls := int(api.Stats().ListAsyncInvocations)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return []measure{
		{"records a second", fmt.Sprintf("%.0f", float64(rows)/took.Seconds())},
		{"pages asked for / fewest possible", fmt.Sprintf("%d / %d = %.3f", calls, fewest, float64(calls)/float64(fewest))},
		{"peak resident memory", fmt.Sprintf("%.1f MiB", float64(usage.Maxrss)/1024)},
		{"processor time a record", fmt.Sprintf("%.1f µs", float64(usage.Utime.Nano()+usage.Stime.Nano())/1000/float64(rows))},
		{"bytes a row, indexes included", fmt.Sprintf("%.0f", float64(bytes)/float64(rows))},
	}, nil
}

// database makes an empty one and returns its address.
func (b *bench) database(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, b.server.URL())
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	address, err := url.Parse(b.server.URL())
	if err != nil {
		return "", err
	}
	address.Path = "/" + name
	return address.String(), nil
}

// archiveSize is how many rows the archive has and what they take.
func archiveSize(ctx context.Context, database string) (rows, bytes int64, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, 0, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM invocations),
		       (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('invocations'))`).Scan(&rows, &bytes)
	if err != nil {
		return 0, 0, fmt.Errorf("measure the archive: %w", err)
	}
	return rows, bytes, nil
}
