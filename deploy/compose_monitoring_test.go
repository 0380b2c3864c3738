package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// mounts are a service's bind mounts, by where they are in the container.
func mounts(t *testing.T, s types.ServiceConfig) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind || !v.ReadOnly {
			t.Errorf("%s may write to %s", s.Name, v.Source)
		}
		source := filepath.Join("..", v.Source)
		if _, err := os.Stat(source); err != nil {
			t.Errorf("%s mounts what is not there: %v", s.Name, err)
		}
		found[v.Target] = source
	}
	return found
}

// The demo's Prometheus scrapes the demo's archiver, with the rules beside its
// configuration, and Grafana finds what it is told to provision.
func TestComposeMonitoring(t *testing.T) {
	t.Parallel()
	project := compose(t, nil, withDemo)
	prometheus, grafana := project.Services["prometheus"], project.Services["grafana"]

	config, err := os.ReadFile(filepath.Join(mounts(t, prometheus)["/etc/prometheus"], "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`targets: \["([a-z-]+):(\d+)"\]`).FindStringSubmatch(string(config))
	if target == nil || target[1] != "archiver-demo" || !strings.HasSuffix(values(project.Services[target[1]])["ARCHIVER_LISTEN"], ":"+target[2]) {
		t.Errorf("Prometheus scrapes %v", target)
	}
	env := values(grafana)
	if want := "http://" + prometheus.Name + ":9090"; env["PROMETHEUS_URL"] != want {
		t.Errorf("Grafana asks %s for metrics, not %s", env["PROMETHEUS_URL"], want)
	}
	db := project.Services[env["PGHOST"]]
	if values(db)["POSTGRES_DB"] != env["PGDATABASE"] || !slices.Contains(db.Profiles, "demo") {
		t.Errorf("Grafana looks at %q of %q, which is not there, or is a real archive", env["PGDATABASE"], env["PGHOST"])
	}
	// Whoever sees a dashboard can send any SQL: it signs in as one who may only read.
	script, err := os.ReadFile(mounts(t, db)["/docker-entrypoint-initdb.d/grafana.sql"])
	if err != nil {
		t.Fatal(err)
	}
	role := "CREATE ROLE " + env["PGUSER"] + " LOGIN PASSWORD '" + env["PGPASSWORD"] + "' IN ROLE archiver_reader;\n"
	if !strings.HasSuffix(string(script), "\n"+role) || env["PGUSER"] == values(db)["POSTGRES_USER"] {
		t.Errorf("Grafana signs in as %s, who is made by\n%s", env["PGUSER"], script)
	}

	in := mounts(t, grafana)
	provisioned, err := os.ReadFile(filepath.Join(in["/etc/grafana/provisioning/datasources"], "archiver.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\$([A-Z_]+)`).FindAllStringSubmatch(string(provisioned), -1) {
		if name[1] != "NAMES" && env[name[1]] == "" {
			t.Errorf("Grafana does not know %s", name[0])
		}
	}
	boards, err := os.ReadFile(filepath.Join(in["/etc/grafana/provisioning/dashboards"], "archiver.yml"))
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`path: (\S+)`).FindStringSubmatch(string(boards))
	if path == nil || in[path[1]] == "" {
		t.Errorf("Grafana looks for dashboards in %v, which is not mounted", path)
	}
	home := env["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if _, err := os.Stat(filepath.Join(in[filepath.Dir(home)], filepath.Base(home))); err != nil {
		t.Errorf("Grafana's first page: %v", err)
	}
	// Who looks may not change anything.
	if env["GF_AUTH_ANONYMOUS_ORG_ROLE"] != "Viewer" || env["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] != "true" {
		t.Error("whoever reaches Grafana may change it")
	}
	// A port is published from the network that has a way out; what is asked is on the other.
	for _, s := range []types.ServiceConfig{prometheus, grafana} {
		for _, network := range []string{"default", "demo"} {
			if _, on := s.Networks[network]; !on {
				t.Errorf("%s is not on the network %s", s.Name, network)
			}
		}
	}
}
