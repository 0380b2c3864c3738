package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"archiver/internal/simulate/dataset"
)

// deployed is the path of a file in deploy/.
func deployed(elements ...string) string {
	return filepath.Join(append([]string{"..", "..", "deploy"}, elements...)...)
}

// toolPath finds a program of the distribution. `make test` fetches a missing one.
func toolPath(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	fetched, absent := exec.LookPath(filepath.Join("..", "..", ".archiver", "tools", "bin", name))
	if absent != nil {
		t.Fatalf("%v: make test fetches it", err)
	}
	return fetched
}

// A prometheus is a server of its own on the repository's configuration.
type prometheus struct {
	t   testing.TB
	url string
}

// startPrometheus has it scrape this address every second.
func startPrometheus(t testing.TB, target string) *prometheus {
	t.Helper()
	config, err := os.ReadFile(deployed("prometheus", "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(deployed("prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	adapted := string(config)
	for _, change := range [][2]string{{"archiver-demo:8080", target}, {"alerts.yml", rules}, {"15s", "1s"}} {
		if !strings.Contains(adapted, change[0]) {
			t.Fatalf("the configuration has no %s", change[0])
		}
		adapted = strings.ReplaceAll(adapted, change[0], change[1])
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(adapted), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	var log strings.Builder
	cmd := exec.Command(toolPath(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(interrupt)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("prometheus ended: %v\n%s", err, log.String())
		}
	})
	p := &prometheus{t: t, url: "http://" + address}
	waitFor(t, "Prometheus to be ready", func() bool { return get(p.url+"/-/ready") == http.StatusOK })
	return p
}

// ask is an answer of its API.
func (p *prometheus) ask(path string, parameters url.Values, into any) {
	p.t.Helper()
	resp, err := http.Get(p.url + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		p.t.Fatal(err)
	}
	if answer.Status != "success" {
		p.t.Errorf("%s %v: %s", path, parameters, answer.Error)
	}
}

// query is how many series an expression gives now.
func (p *prometheus) query(expr string) int {
	p.t.Helper()
	var data struct{ Result []json.RawMessage }
	p.ask("query", url.Values{"query": {expr}}, &data)
	return len(data.Result)
}

// expressions are the queries of a dashboard, as Grafana would send them. A rate is that of
// five minutes: what the last ticks did is in it, however late the query comes.
func expressions(t testing.TB, file string) (found []string) {
	t.Helper()
	variables := strings.NewReplacer("$source", ".*", "$__rate_interval", "5m")
	for _, panel := range dashboards(t)[file].Panels {
		for _, target := range panel.Targets {
			found = append(found, variables.Replace(target.Expr))
		}
	}
	if len(found) == 0 {
		t.Errorf("%s asks nothing", file)
	}
	return found
}

// TestPrometheus has a real Prometheus scrape a real archiver on its schedule: it
// reads the metrics and the rules, and every query of the dashboard answers.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	data, err := dataset.Live(dataset.GenerateOptions{
		Functions: 3, Invocations: 3000, Date: time.Now().UTC().AddDate(0, 0, -1).Truncate(24 * time.Hour), Seed: 1,
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, web := simulator(t, data)
	in := install(t, web.URL)
	address := freeAddress(t)
	cmd := in.command(nil, "run", "--schedule", "* * * * *", "--lookback", "24h", "--settle", "1m", "--listen", address)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(interrupt)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("archiver run ended: %v\n%s", err, log.String())
		}
	})
	p := startPrometheus(t, address)
	waitFor(t, "the target to be up", func() bool { return p.query(`up{job="archiver"} == 1`) == 1 })
	waitFor(t, "a complete run", func() bool {
		return p.query(`archiver_runs_total{outcome="complete"} >= 1`) == 1
	})
	waitFor(t, "the archive to be looked at again", func() bool { return p.query(`archiver_archived_records > 0`) == 1 })
	// A rate is of two scrapes. The first pass may have ended before the first scrape.
	waitFor(t, "calls between two scrapes", func() bool { return p.query(`increase(archiver_calls_total{outcome="ok"}[5m]) > 0`) == 1 })

	for _, expr := range []string{
		`archiver_records_total{result="inserted"} > 0`,
		`archiver_calls_total{outcome="ok"} > 0`,
		`archiver_call_duration_seconds_count > 0`,
		`archiver_commit_duration_seconds_count > 0`,
		`archiver_lookback_seconds == 86400`,
		`archiver_source_retention_seconds == 315360000`,
		`archiver_database_up == 1`,
		`archiver_build_info`,
	} {
		if p.query(expr) != 1 {
			t.Errorf("%s gives nothing", expr)
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	waitFor(t, "the rules to be evaluated", func() bool {
		p.ask("rules", nil, &rules)
		return len(rules.Groups) == 1 && rules.Groups[0].Rules[0].Health != "unknown"
	})
	for _, r := range rules.Groups[0].Rules {
		if r.Health != "ok" {
			t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
		}
	}
	// While all is well, nothing is wrong or is there to be shown.
	silent := regexp.MustCompile(`oldest_|last_success|throttled`)
	for _, expr := range expressions(t, "archiver.json") {
		if n := p.query(expr); n == 0 && !silent.MatchString(expr) {
			t.Errorf("the dashboard asks for %s, which gives nothing", expr)
		}
	}
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(within(t), toolPath(t, "promtool"), "check", "metrics")
	check.Stdin = strings.NewReader(string(body))
	if out, err := check.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	if strings.Contains(string(body), testSecretKey) || strings.Contains(string(body), "urn:") {
		t.Error("the metrics tell a secret, or have a series a function")
	}
}
