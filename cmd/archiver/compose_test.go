package main

import (
	"context"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"archiver/internal/schedule"
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
		ConfigFiles: types.ToConfigFiles([]string{"../../docker-compose.yml"}),
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
				if v.Type == types.VolumeTypeVolume && name != "postgres" {
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

// besides are the variables that are read and are no flag's.
var besides = []string{
	"DATABASE_URL", "PGPASSWORD", "ARCHIVER_AUTH_TOKEN", "ARCHIVER_PASSWORD",
	"HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_PROJECT_ID", "HUAWEICLOUD_SDK_SECURITY_TOKEN",
	"ALIBABA_CLOUD_ACCOUNT_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN",
}

// The commands are ones that the command line takes, with the environment they
// run in, and each variable is one that they read.
func TestComposeCommands(t *testing.T) {
	for name, s := range built(compose(t, nil, withDemo)) {
		for variable := range s.Environment {
			if !slices.Contains(besides, variable) && !slices.Contains(variables(t, s.Command[0]), variable) {
				t.Errorf("%s sets %s, which %s does not read", name, variable, s.Command[0])
			}
		}
	}
	for name, s := range built(compose(t, account, withDemo)) {
		t.Run(name, func(t *testing.T) {
			for variable, value := range values(s) {
				t.Setenv(variable, value)
			}
			var parsed commands
			if _, err := commandLine(t, &parsed).Parse(s.Command); err != nil {
				t.Fatal(err)
			}
			if s.Command[0] != "run" {
				return
			}
			if _, err := schedule.Parse(parsed.Run.Schedule); err != nil {
				t.Errorf("schedule: %v", err)
			}
			if !strings.HasSuffix(parsed.Run.Listen, ":8080") || s.Ports[0].Target != 8080 {
				t.Errorf("listens on %s, port %d is published", parsed.Run.Listen, s.Ports[0].Target)
			}
		})
	}
}

func commandLine(t *testing.T, c *commands) *kong.Kong {
	t.Helper()
	parser, err := newParser(c, streams{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// variables are those that give a command's flags their values.
func variables(t *testing.T, command string) []string {
	t.Helper()
	for _, node := range commandLine(t, new(commands)).Model.Children {
		if node.Name != command {
			continue
		}
		var names []string
		for _, flag := range node.Flags {
			names = append(names, flag.Envs...)
		}
		return names
	}
	t.Errorf("there is no command %q", command)
	return nil
}

// Someone's own secrets reach the services they are for, and no others; the file
// itself holds none but the demo's and a password for a laptop.
func TestComposeSecrets(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`PASSWORD|TOKEN|SECRET|_AK$|_SK$`)
	known := []string{"archiver", "demo-access-key", "demo-secret-key", "grafana"}
	for name, s := range compose(t, nil, withDemo).Services {
		for variable, value := range values(s) {
			if secret.MatchString(variable) && !slices.Contains(known, value) {
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
		if get(client, "PGPASSWORD") != get(server, "POSTGRES_PASSWORD") || !strings.Contains(get(client, "DATABASE_URL"), "@"+server+":5432/") {
			t.Errorf("%s cannot sign in to %s", client, server)
		}
	}
	if got := get("postgres", "POSTGRES_PASSWORD"); got != account["POSTGRES_PASSWORD"] {
		t.Errorf("postgres gets the password %q", got)
	}
	// The simulator knows the demo's keys.
	var parsed commands
	if _, err := commandLine(t, &parsed).Parse(project.Services["simulator"].Command); err != nil {
		t.Fatal(err)
	}
	want := [3]string{parsed.Simulate.AK, parsed.Simulate.SK, parsed.Simulate.ProjectID}
	if got := [3]string{get("archiver-demo", "HUAWEICLOUD_SDK_AK"), get("archiver-demo", "HUAWEICLOUD_SDK_SK"), get("archiver-demo", "HUAWEICLOUD_SDK_PROJECT_ID")}; got != want {
		t.Errorf("the demo's archiver signs with %q, the simulator knows %q", got, want)
	}
}
