package deploy

import (
	"context"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// account is what someone with a real account sets.
var account = map[string]string{
	"ARCHIVER_REGION":            "eu-west-101",
	"HUAWEICLOUD_SDK_AK":         "their-access-key",
	"HUAWEICLOUD_SDK_SK":         "their-secret-key",
	"HUAWEICLOUD_SDK_PROJECT_ID": "their-project",
	"POSTGRES_PASSWORD":          "their/p@ss:word",
}

// compose reads the compose file as `docker compose` would, where env is all
// that the shell and .env set.
func compose(t *testing.T, env map[string]string, options ...func(*loader.Options)) *types.Project {
	t.Helper()
	details := types.ConfigDetails{
		ConfigFiles: types.ToConfigFiles([]string{"../docker-compose.yml"}),
		Environment: types.Mapping{}, // the loader adds to it
	}
	maps.Copy(details.Environment, env)
	project, err := loader.LoadWithContext(context.Background(), details, options...)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// withDemo is `--profile demo`.
func withDemo(o *loader.Options) { loader.WithProfiles([]string{"demo"})(o) }

// built returns the services that run this module's command.
func built(p *types.Project) types.Services {
	return p.Services.Filter(func(s types.ServiceConfig) bool { return s.Build != nil })
}

// values is a service's environment. A variable without a value is handed on
// from outside, and not set there.
func values(s types.ServiceConfig) map[string]string { return s.Environment.ToMapping() }

func TestComposeServices(t *testing.T) {
	t.Parallel()
	always := []string{"archiver", "postgres"}
	all := []string{"archiver", "archiver-demo", "grafana", "postgres", "postgres-demo", "prometheus", "simulator"}
	for _, env := range []map[string]string{nil, account} {
		if diff := cmp.Diff(always, compose(t, env).ServiceNames()); diff != "" {
			t.Errorf("without a profile:\n%s", diff)
		}
		demo := compose(t, env, withDemo)
		if diff := cmp.Diff(all, demo.ServiceNames()); diff != "" {
			t.Errorf("with the demo's profile:\n%s", diff)
		}
		// What the demo makes up stays out of a real archive, and nothing of
		// the demo waits for a service that needs an account.
		for name, s := range demo.Services {
			for other := range s.DependsOn {
				if slices.Contains(always, name) != slices.Contains(always, other) {
					t.Errorf("%s depends on %s", name, other)
				}
			}
			for _, v := range s.Volumes {
				if v.Type == types.VolumeTypeVolume && name != "postgres" && !(name == "archiver" && v.Source == "password" && v.ReadOnly) {
					t.Errorf("%s keeps the volume %s", name, v.Source)
				}
			}
		}
	}
}

// Without an account, the archiver says so once; with one, it is kept up.
func TestComposeRestart(t *testing.T) {
	t.Parallel()
	if got := compose(t, nil, withDemo).Services["archiver"].Restart; got != "" {
		t.Errorf("without a region, restart is %q", got)
	}
	for _, name := range []string{"archiver", "postgres"} {
		if got := compose(t, account).Services[name].Restart; got != types.RestartPolicyUnlessStopped {
			t.Errorf("with a region, %s has restart %q", name, got)
		}
	}
}

var (
	imageTag   = regexp.MustCompile(`^[a-z]+(:\d+\.\d+(\.\d+)?-[a-z]+|/[a-z]+:v?\d+\.\d+\.\d+)$`)
	postgres17 = regexp.MustCompile(`^postgres:17\.\d+-`)
)

func TestComposeImages(t *testing.T) {
	t.Parallel()
	for name, s := range compose(t, nil, withDemo).Services {
		switch {
		case s.Build != nil:
			if s.Image != "" {
				t.Errorf("%s is built here, and named %s: services built at once must not share a name", name, s.Image)
			}
		case !imageTag.MatchString(s.Image):
			t.Errorf("%s: %s is not one release", name, s.Image)
		case strings.HasPrefix(name, "postgres") && !postgres17.MatchString(s.Image):
			t.Errorf("%s: %s is not PostgreSQL 17", name, s.Image)
		}
	}
}

func TestComposeConfinement(t *testing.T) {
	t.Parallel()
	project := compose(t, nil, withDemo)
	for name, s := range project.Services {
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged || s.NetworkMode != "" {
			t.Errorf("%s may gain privileges", name)
		}
		for _, port := range s.Ports {
			if host, err := netip.ParseAddr(port.HostIP); err != nil || !host.IsLoopback() {
				t.Errorf("%s publishes %s on %q", name, port.Published, port.HostIP)
			}
		}
	}
	for name, s := range built(project) {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) != 0 {
			t.Errorf("%s may do more than it has to", name)
		}
	}
	networks := slices.Collect(maps.Keys(project.Services["simulator"].Networks))
	if !slices.Equal(networks, []string{"demo"}) || !project.Networks["demo"].Internal {
		t.Errorf("the simulator is on %v, with a way out", networks)
	}
}

// The archiver takes the services' commands in their environment, and reads each
// variable that they set.
func TestComposeCommands(t *testing.T) {
	t.Parallel()
	for name, s := range built(compose(t, nil, withDemo)) {
		read := append(variables(t, s.Command[0]), secrets...)
		for variable := range s.Environment {
			if !slices.Contains(read, variable) && !slices.Contains(secrets, strings.TrimSuffix(variable, "_FILE")) {
				t.Errorf("%s sets %s, which %s does not read", name, variable, s.Command[0])
			}
		}
		if name != "archiver" {
			continue
		}
		// A variable that were left out would be set in .env, and not hold.
		for _, variable := range read {
			file := variable + "_FILE"
			if slices.Contains(secrets, variable) && !slices.Contains([]string{"DATABASE_URL", "PGPASSWORD", "ALIBABA_CLOUD_ACCOUNT_ID"}, variable) {
				if _, handed := s.Environment[file]; !handed {
					t.Errorf("%s is not handed on", file)
				}
			}
			if _, handed := s.Environment[variable]; !handed && variable != "PGPASSWORD" {
				t.Errorf("%s is not handed on", variable)
			}
		}
	}
	for name, s := range built(compose(t, account, withDemo)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accepts(t, values(s), s.Command...)
			if s.Command[0] != "run" {
				return
			}
			if listen, _ := settings(t, values(s))["listen"].(string); !strings.HasSuffix(listen, ":8080") || s.Ports[0].Target != 8080 {
				t.Errorf("listens on %s, port %d is published", listen, s.Ports[0].Target)
			}
		})
	}
}

// Someone's own secrets reach the services they are for, and no others; the file
// itself holds none but the demo's.
func TestComposeSecrets(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`PASSWORD|TOKEN|SECRET|_AK$|_SK$`)
	known := []string{"archiver", "demo-access-key", "demo-secret-key", "grafana"}
	for name, s := range compose(t, nil, withDemo).Services {
		for variable, value := range values(s) {
			if secret.MatchString(variable) && (!slices.Contains(known, value) || name == "postgres" || name == "archiver") {
				t.Errorf("%s has a secret %s of its own", name, variable)
			}
			if u, err := url.Parse(value); err == nil && u.User != nil {
				if _, set := u.User.Password(); set {
					t.Errorf("%s has a password in %s", name, variable)
				}
			}
		}
	}

	project := compose(t, account, withDemo)
	get := func(service, variable string) string { return values(project.Services[service])[variable] }
	for name, value := range account {
		if got := get("archiver", name); got != value && name != "POSTGRES_PASSWORD" {
			t.Errorf("archiver gets %s=%q", name, got)
		}
		for _, other := range []string{"archiver-demo", "postgres-demo", "simulator"} {
			if got := get(other, name); got == value {
				t.Errorf("%s gets the %s of a real account", other, name)
			}
		}
	}
	for client, server := range map[string]string{"archiver": "postgres", "archiver-demo": "postgres-demo"} {
		if !strings.HasPrefix(get(client, "DATABASE_URL"), "postgres://archiver@"+server+":5432/"+get(server, "POSTGRES_DB")+"?") {
			t.Errorf("%s cannot sign in to %s", client, server)
		}
		if user := get(server, "POSTGRES_USER"); user != "" {
			t.Errorf("%s makes %s a superuser", server, user)
		}
	}
	if get("archiver-demo", "PGPASSWORD") != get("postgres-demo", "POSTGRES_PASSWORD") {
		t.Error("the demo's archiver has another password")
	}
	if !slices.ContainsFunc(project.Services["archiver"].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == "/run/archiver" }) ||
		!strings.HasSuffix(get("archiver", "DATABASE_URL"), "&passfile=/run/archiver/pgpass") {
		t.Error("the archiver does not find the password that PostgreSQL's first start makes")
	}
	if got := get("postgres", "POSTGRES_PASSWORD"); got != account["POSTGRES_PASSWORD"] {
		t.Errorf("postgres gets the password %q", got)
	}
	// The simulator knows the demo's keys.
	command := project.Services["simulator"].Command
	told := func(flag string) string { return command[slices.Index(command, flag)+1] }
	want := [3]string{told("--ak"), told("--sk"), told("--project-id")}
	if got := [3]string{get("archiver-demo", "HUAWEICLOUD_SDK_AK"), get("archiver-demo", "HUAWEICLOUD_SDK_SK"), get("archiver-demo", "HUAWEICLOUD_SDK_PROJECT_ID")}; got != want {
		t.Errorf("the demo's archiver signs with %q, the simulator knows %q", got, want)
	}
}
