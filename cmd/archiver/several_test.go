package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"archiver/internal/simulate"
)

// A cloud is a simulated account, and what was asked of it.
type cloud struct {
	url    string
	calls  atomic.Int64
	now    atomic.Int64 // under way
	denied atomic.Bool

	mu   sync.Mutex
	most int64 // under way at once

	gather  int64         // lists of records wait until so many calls have been under way at once
	reached chan struct{} // closed when they have
}

// newCloud serves one of so many functions and records.
func newCloud(t *testing.T, functions, records int, seed uint64, project string) *cloud {
	t.Helper()
	api, err := simulate.New(simulate.Options{
		Data: generated(t, functions, records, seed), ProjectID: project,
		AccessKey: testAccessKey, SecretKey: testSecretKey, Token: testToken,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{reached: make(chan struct{})}
	c.url = newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.calls.Add(1)
		now := c.now.Add(1)
		defer c.now.Add(-1)
		c.mu.Lock()
		if c.most < c.gather && now >= c.gather {
			close(c.reached)
		}
		c.most = max(c.most, now)
		wait := c.most < c.gather && strings.HasSuffix(r.URL.Path, "/async-invocations")
		c.mu.Unlock()
		if wait {
			select {
			case <-c.reached:
			case <-r.Context().Done():
			}
		}
		if c.denied.Load() {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error_code":"FSS.0403","error_msg":"no permission"}`))
			return
		}
		api.ServeHTTP(w, r)
	}))
	return c
}

// atOnce is how many calls were under way at once.
func (c *cloud) atOnce() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// severalFile is a file of three sources, of two clouds, in which each has its
// credentials in a way of its own.
func severalFile(shop, stock, fc *cloud) map[string]string {
	return map[string]string{
		"archiver.yaml": fmt.Sprintf(`log-format: json
database-url-file: url
lookback: 2d
source-retention: 3650d
sources:
  - name: shop
    region: cn-north-4
    endpoint: %s
    project-id: %s
    auth-token-file: token
    concurrency: 1
  - name: stock
    region: cn-north-4
    endpoint: %s
    project-id: project-of-the-stock
    access-key-env: STOCK_AK
    secret-key-env: STOCK_SK
    concurrency: 3
  - name: fc
    provider: functioncompute
    region: cn-hangzhou
    endpoint: %s
    account-id: 188
    access-key-env: STOCK_AK
    secret-key-env: STOCK_SK
`, shop.url, simulate.DefaultProjectID, stock.url, fc.url),
		"token": testToken + "\n",
	}
}

// severalClouds prepares three clouds, a database, and the file of all of them.
func severalClouds(t *testing.T) (w *workplace, in *installation, shop, stock *cloud) {
	t.Helper()
	shop = newCloud(t, 3, 3000, 1, simulate.DefaultProjectID)
	stock = newCloud(t, 4, 8000, 2, "project-of-the-stock")
	fc := newCloud(t, 5, 500, 3, simulate.DefaultProjectID)
	in = install(t, shop.url)
	files := severalFile(shop, stock, fc)
	files["url"] = in.database
	w = work(t, files)
	w.raced = true // no test in process runs several sources
	w.env = []string{
		"HOME=" + w.dir, "PATH=/usr/bin:/bin", "ARCHIVER_CONFIG=archiver.yaml",
		"STOCK_AK=" + testAccessKey, "STOCK_SK=" + testSecretKey,
		// Not used: each source has its own.
		"ARCHIVER_AUTH_TOKEN=wrong", "HUAWEICLOUD_SDK_AK=wrong", "HUAWEICLOUD_SDK_SK=wrong", "ALIBABA_CLOUD_ACCESS_KEY_ID=wrong",
	}
	return w, in, shop, stock
}

var wholeDay = []string{"--from", "2026-03-29", "--to", "2026-03-30"}

// records are those of each source in the archive.
func records(in *installation) string {
	in.t.Helper()
	return queryValue[string](in, `
		SELECT coalesce(string_agg(n, ' ' ORDER BY n), '')
		  FROM (SELECT provider || '/' || region || '/' || project_id || '=' || count(*) AS n
		          FROM invocation_history GROUP BY provider, region, project_id) AS each`)
}

const (
	shopRecords  = "functiongraph/cn-north-4/" + simulate.DefaultProjectID + "=3000"
	stockRecords = "functiongraph/cn-north-4/project-of-the-stock=8000"
	fcRecords    = "functioncompute/cn-hangzhou/188=500"
)

// One process archives three sources into one database, each with its own keys and
// limits. Each line of the log names its source. verify, once and check work on all
// sources as well, and --source picks some.
func TestSeveralSources(t *testing.T) {
	t.Parallel()
	w, in, shop, stock := severalClouds(t)

	code, stdout, stderr := w.run(nil, append([]string{"backfill", "--source", "fc"}, wholeDay...)...)
	if code != exitDone || records(in) != fcRecords {
		t.Fatalf("exit %d, %s\n%s%s", code, records(in), stdout, stderr)
	}
	if shop.calls.Load()+stock.calls.Load() != 0 {
		t.Error("sources that were not picked were asked")
	}
	if strings.Contains(stdout, "fc: ") {
		t.Errorf("the lines of one source alone begin with its name: %s", stdout)
	}

	stock.mu.Lock()
	stock.gather = 3
	stock.mu.Unlock()
	code, stdout, stderr = w.run(nil, append([]string{"backfill"}, wholeDay...)...)
	if code != exitDone || records(in) != fcRecords+" "+shopRecords+" "+stockRecords {
		t.Fatalf("exit %d, %s\n%s%s", code, records(in), stdout, stderr)
	}
	for _, line := range []string{"shop: backfill 2026-03-29T00:00Z/2026-03-30T00:00Z: 72 of 72 windows complete", "stock: backfill 2026-03-29T00:00Z/2026-03-30T00:00Z: 96 of 96 windows", "fc: backfill 2026-03-29T00:00Z/2026-03-30T00:00Z: 0 of 0 windows"} {
		if !strings.Contains(stdout, line) {
			t.Errorf("it does not print %q:\n%s", line, stdout)
		}
	}
	if one, three := shop.atOnce(), stock.atOnce(); one != 1 || three != 3 {
		t.Errorf("at most %d and %d calls were under way, want 1 and 3: a source's limit is its own", one, three)
	}

	// Functions asked for by name must belong to one of the sources, not to all.
	code, stdout, stderr = w.run(nil, append([]string{"backfill", "--function", "*/*"}, wholeDay...)...)
	if code != exitDone || strings.Contains(stderr, "no function") {
		t.Errorf("backfill of functions of one source: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = w.run(nil, append([]string{"backfill", "--function", "nothing-*"}, wholeDay...)...)
	if code != exitIncomplete || strings.Count(stderr, "no function was found") != 3 {
		t.Errorf("backfill of functions that are nobody's: exit %d\n%s%s", code, stdout, stderr)
	}

	// A variable that only query uses does not change other commands.
	code, stdout, stderr = w.run([]string{"ARCHIVER_ARCHIVED=true"}, append([]string{"verify"}, wholeDay...)...)
	if code != exitDone || strings.Count(stdout, "windows compared, 0 differ") != 3 {
		t.Errorf("verify: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = w.run(nil, "check")
	if code != exitDone || !strings.Contains(stdout, "ok    configuration: complete, 3 of the 3 sources of archiver.yaml\n") || !strings.Contains(stdout, "ok    stock: credentials: accepted, 4 functions listed") || !strings.Contains(stdout, "ok    fc: invocations: may be read") {
		t.Errorf("check: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = w.run(nil, "once", "--dry-run", "--retention", "400d")
	if code != exitDone || strings.Count(stdout, "functions are known") != 3 || strings.Count(stdout, "days would be dropped") != 1 {
		t.Errorf("once --dry-run: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = w.run(nil, "once", "--log-level", "debug")
	if code != exitDone || strings.Count(stdout, "windows complete") != 3 {
		t.Errorf("once: exit %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr = w.run(nil, "status"); code != exitDone {
		t.Errorf("status: exit %d\n%s", code, stderr)
	}
}

// A source with denied credentials does not stop the others. The exit code says that
// something is missing.
func TestOneOfSeveralFails(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{append([]string{"backfill"}, wholeDay...), {"verify", "--from", "2026-03-29", "--to", "2026-03-30", "--repair"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			w, in, _, stock := severalClouds(t)
			stock.denied.Store(true)
			code, stdout, stderr := w.run(nil, args...)
			if code != exitIncomplete || !strings.Contains(stderr, "archiver: source stock: ") || !strings.Contains(stderr, "FSS.0403") {
				t.Errorf("exit %d\n%s%s", code, stdout, stderr)
			}
			if strings.Contains(stderr, "source shop") || strings.Contains(stderr, "source fc") {
				t.Errorf("others are blamed: %s", stderr)
			}
			if got := records(in); got != fcRecords+" "+shopRecords {
				t.Errorf("archived: %s", got)
			}
			said := 0
			for line := range strings.Lines(stderr) {
				var entry struct{ Level, Source, Error string }
				if json.Unmarshal([]byte(line), &entry) == nil && entry.Source == "stock" && strings.Contains(entry.Error, "FSS.0403") {
					said++
				}
			}
			if said != 1 {
				t.Errorf("%d lines of the log say what is wrong with the source stock:\n%s", said, stderr)
			}
			if code, stdout, _ := w.run(nil, "check"); code != exitIncomplete || !strings.Contains(stdout, "FAIL  stock: credentials") || !strings.Contains(stdout, "ok    fc: credentials") {
				t.Errorf("check: exit %d\n%s", code, stdout)
			}
		})
	}
}

// Two sources that name one account in different ways are refused if they share
// functions.
func TestSeveralOfOneAccount(t *testing.T) {
	t.Parallel()
	api, endpoint := signInServer(t)
	in := install(t, endpoint)
	w := work(t, map[string]string{"archiver.yaml": fmt.Sprintf(`
endpoint: %[1]s
iam-endpoint: %[1]s
region: cn-north-4
sources:
  - {name: by-id, project-id: %[2]s, auth-token-env: TOKEN}
  - {name: by-name, project: eu-de_shop, auth-token-env: TOKEN}
`, endpoint, simulate.DefaultProjectID)})
	w.env = append(w.env, "TOKEN="+testToken, "DATABASE_URL="+in.database)
	code, _, stderr := w.run(nil, append([]string{"backfill", "--config", "archiver.yaml"}, wholeDay...)...)
	if code != exitUsage || !strings.Contains(stderr, "archiver: source by-name: it reads the same account as source by-id") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if n := api.Stats().ListAsyncInvocations; n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// run archives each source on its own schedule. A signal ends all of them.
func TestRunSeveral(t *testing.T) {
	t.Parallel()
	w, _, _, _ := severalClouds(t)
	path, err := binary(w.raced)
	if err != nil {
		t.Fatal(err)
	}
	w.fix("    concurrency: 3\n", "    concurrency: 3\n    schedule: \"0 0 1 1 *\"\n")
	address := freeAddress(t)
	cmd := exec.Command(path, "run", "--listen", address, "--log-level", "info")
	cmd.Dir, cmd.Env = w.dir, append(w.env, "ARCHIVER_SOURCE=shop,stock")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "archiver run to be ready", func() bool { return get("http://"+address+"/readyz") == http.StatusOK })
	if err := cmd.Process.Signal(interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("archiver run at SIGTERM: %v\n%s", err, log.String())
	}
	up := make(map[string]string)
	for line := range strings.Lines(log.String()) {
		var entry struct{ Msg, Source, Schedule string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "archiver is up" {
			up[entry.Source] = entry.Schedule
		}
	}
	if len(up) != 2 || up["shop"] != "7 * * * *" || up["stock"] != "0 0 1 1 *" {
		t.Errorf("up are %v:\n%s", up, log.String())
	}
}
