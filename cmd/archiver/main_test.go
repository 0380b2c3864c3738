package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
	"archiver/internal/pgserver/pgtest"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// The day that tests archive, and the keys of their simulators.
var day = time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)

// keepsForLong is how long the sources of tests are said to keep their records: their day
// is long past.
const keepsForLong = 3650 * 24 * time.Hour

const (
	testAccessKey = "test-access-key"
	testSecretKey = "test-secret-key"
	testToken     = "test-token"
)

// binary is the archiver that ARCHIVER_TEST_BINARY names. If raced is true, or the
// variable is not set, it is a new build.
func binary(raced bool) (string, error) {
	if path := os.Getenv("ARCHIVER_TEST_BINARY"); path != "" && !raced {
		return path, nil
	}
	return built()
}

// built builds the archiver, with the race detector where the tests have it.
var built = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs(filepath.Join("..", "..", ".archiver", "bin", "archiver-of-tests"))
	if err != nil {
		return "", err
	}
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// An installation is a database, a source and the archiver between them.
type installation struct {
	t        testing.TB
	database string
	env      []string
	raced    bool // as of a workplace
}

// installEmpty prepares one with an empty database, against the API at this address.
func installEmpty(t testing.TB, endpoint string) *installation {
	t.Helper()
	return installOn(t, pgtest.Database(t), endpoint)
}

// install is the same with the schema in the database. A copy of a migrated database
// costs a fraction of migrating one.
func install(t testing.TB, endpoint string) *installation {
	t.Helper()
	return installOn(t, pgtest.Migrated(t, func(ctx context.Context, url string) error {
		_, err := pg.MigrateUp(ctx, url)
		return err
	}), endpoint)
}

func installOn(t testing.TB, database, endpoint string) *installation {
	t.Helper()
	in := &installation{t: t, database: database}
	in.env = []string{
		"DATABASE_URL=" + in.database,
		"ARCHIVER_ENDPOINT=" + endpoint,
		"ARCHIVER_REGION=" + simulate.DefaultRegion,
		"HUAWEICLOUD_SDK_AK=" + testAccessKey,
		"HUAWEICLOUD_SDK_SK=" + testSecretKey,
		"HUAWEICLOUD_SDK_PROJECT_ID=" + simulate.DefaultProjectID,
		"HOME=" + t.TempDir(),
		"PATH=" + os.Getenv("PATH"),
		"ARCHIVER_SOURCE_RETENTION=3650d", "ARCHIVER_LOOKBACK=30d",
	}
	return in
}

// command prepares a run of the real binary. Later settings of the environment
// win.
func (in *installation) command(env []string, args ...string) *exec.Cmd {
	in.t.Helper()
	path, err := binary(in.raced)
	if err != nil {
		in.t.Fatalf("build the archiver: %v", err)
	}
	cmd := exec.Command(path, args...)
	// Else a process with the race detector sleeps for a second at its end.
	cmd.Env = slices.Concat([]string{"GORACE=atexit_sleep_ms=0"}, in.env, env)
	return cmd
}

// run runs the binary to its end.
func (in *installation) run(env []string, args ...string) (code int, stdout, stderr string) {
	in.t.Helper()
	cmd := in.command(env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		in.t.Fatalf("run archiver %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// backfill archives the day and expects exit code 0.
func (in *installation) backfill(args ...string) (stdout string) {
	in.t.Helper()
	args = append([]string{"backfill", "--from", day.Format(time.DateOnly), "--to", day.AddDate(0, 0, 1).Format(time.DateOnly)}, args...)
	code, stdout, stderr := in.run(nil, args...)
	if code != exitDone {
		in.t.Fatalf("archiver %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// query asks the archive for one value.
func queryValue[T any](in *installation, sql string, args ...any) (value T) {
	in.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		in.t.Fatalf("connect: %v", err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, sql, args...).Scan(&value); err != nil {
		in.t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// simulator serves the data, signed with the test's keys.
func simulator(t testing.TB, data *dataset.Data) (*simulate.Server, *httptest.Server) {
	t.Helper()
	api, err := simulate.New(simulate.Options{Data: data, AccessKey: testAccessKey, SecretKey: testSecretKey, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(api)
	t.Cleanup(web.Close)
	return api, web
}

// generated is a built-in day.
func generated(t testing.TB, functions, invocations int, seed uint64) *dataset.Data {
	t.Helper()
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: functions, Invocations: invocations, Date: day, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// newServer serves a handler for the length of the test.
func newServer(t testing.TB, handler http.Handler) (url string) {
	t.Helper()
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	return web.URL
}
