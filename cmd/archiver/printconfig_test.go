package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/settings"
	"archiver/internal/terminal"
)

// A flag wins over the environment, the environment over the file, and in the file a
// source over the top level.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	const file = "settle: 2m\nconcurrency: 2\nrate: 2\nlookback: 2d\nlog-level: warn\nsources:\n" +
		"  - {name: a, region: cn-north-4, project-id: p, auth-token-env: TOKEN, settle: 3m, concurrency: 3, rate: 3, functions: []}\n" +
		"  - {name: b, region: cn-north-4, project-id: q, auth-token-env: TOKEN}\n"
	w := work(t, map[string]string{"archiver.yaml": file, "one.yaml": "region: cn-north-4\nproject-id: p\nsettle: 2m\nfunctions: [a, b]\n",
		"clouds.yaml": "sources:\n  - {name: a, region: cn-north-4, project-id: p, auth-token-env: TOKEN}\n" +
			"  - {name: b, provider: functioncompute, region: cn-hangzhou, access-key-env: TOKEN, secret-key-env: TOKEN}\n",
	})
	env := []string{"TOKEN=t", "ARCHIVER_CONCURRENCY=4", "ARCHIVER_SETTLE=4m", "ARCHIVER_LOG_LEVEL=error", "ARCHIVER_CONFIG=archiver.yaml", "ARCHIVER_FUNCTIONS="}
	for _, test := range []struct {
		name string
		env  []string
		args []string
		want []string
	}{
		{
			name: "several", args: []string{"--settle", "5m"},
			want: []string{
				"log-level: error # environment ARCHIVER_LOG_LEVEL", "listen: 127.0.0.1:8080 # default", "- name: a # archiver.yaml:7:6",
				"settle: 5m # flag --settle", "concurrency: 4 # environment ARCHIVER_CONCURRENCY",
				"rate: 3 # archiver.yaml:7:101", "rate: 2 # archiver.yaml:3:1", "lookback: 2d # archiver.yaml:4:1", "verify-after: 6h # default",
			},
		},
		{name: "picked", args: []string{"--source", "b", "--region", "eu-de"}, want: []string{"region: eu-de # flag --region", "project-id: q # archiver.yaml:8:35"}},
		{name: "picked by the environment", env: []string{"ARCHIVER_SOURCE=b", "ARCHIVER_REGION=eu-de"}, want: []string{"region: eu-de # environment ARCHIVER_REGION", "- name: b"}},
		{
			name: "one source", args: []string{"--config", "one.yaml"}, env: []string{"ARCHIVER_REGION=eu-de", "HUAWEICLOUD_SDK_AK=a", "HUAWEICLOUD_SDK_SK=s"},
			want: []string{"region: eu-de # environment ARCHIVER_REGION", "settle: 4m # environment", `functions: ["a", "b"] # one.yaml:4:1`, `access-key: "***" # environment HUAWEICLOUD_SDK_AK`},
		},
		{
			name: "no file", env: []string{"ARCHIVER_CONFIG=", "ARCHIVER_REGION=eu-de", "HUAWEICLOUD_SDK_AK=a", "HUAWEICLOUD_SDK_SK=s"},
			want: []string{"region: eu-de # environment ARCHIVER_REGION"},
		},
		{
			name: "empty variables", args: []string{"--config", "one.yaml"},
			env: []string{
				"ARCHIVER_RATE=", "ARCHIVER_NO_MIGRATE=", "ARCHIVER_SETTLE=", "ARCHIVER_LOG_FORMAT=", "ARCHIVER_LISTEN=", "ARCHIVER_SCHEDULE=",
				"ARCHIVER_PROJECT_ID=", "HUAWEICLOUD_SDK_PROJECT_ID=x", "HUAWEICLOUD_SDK_AK=a", "HUAWEICLOUD_SDK_SK=s",
			},
			want: []string{
				"# rate: not set", "no-migrate: false # default", "settle: 2m # one.yaml:3:1", "log-format: auto # default",
				`listen: "" # environment ARCHIVER_LISTEN`, `schedule: "7 * * * *" # default`, "project-id: x # environment HUAWEICLOUD_SDK_PROJECT_ID",
			},
		},
		{
			name: "passwords in URLs", args: []string{"--iam-endpoint", "https://me:very-secret@iam.example.com"},
			env: []string{"ARCHIVER_CONFIG=", "ARCHIVER_ENDPOINT=https://me:very-secret@fg.example.com", "HUAWEICLOUD_SDK_AK=a", "HUAWEICLOUD_SDK_SK=s"},
			want: []string{
				`endpoint: https://me:xxxxx@fg.example.com # environment ARCHIVER_ENDPOINT`, "iam-endpoint: https://me:xxxxx@iam.example.com # flag",
			},
		},
		{
			name: "of one cloud alone", args: []string{"--config", "clouds.yaml"}, env: []string{"HUAWEICLOUD_SDK_PROJECT_ID=x", "ALIBABA_CLOUD_ACCOUNT_ID=188"},
			want: []string{"project-id: x # environment HUAWEICLOUD_SDK_PROJECT_ID", "account-id: 188 # environment ALIBABA_CLOUD_ACCOUNT_ID"},
		},
		{
			name: "nothing but the same for all", env: []string{"ARCHIVER_REGION=cn-north-4"},
			want: []string{"region: cn-north-4 # environment ARCHIVER_REGION"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := w.run(append(slices.Clone(env), test.env...), append([]string{"check", "--print-config"}, test.args...)...)
			if code != exitDone {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			for _, part := range test.want {
				if !strings.Contains(terminal.Line(stdout), part) {
					t.Errorf("it does not say %q", part)
				}
			}
			if t.Failed() {
				t.Log(stdout)
			}
		})
	}
}

// The printed settings of two clouds, with defaults.
func TestPrintConfig(t *testing.T) {
	t.Parallel()
	w := work(t, map[string]string{
		"archiver.yaml": `# What holds for all.
retention: 400d
schedule: "17 * * * *"
sources:
  - name: shop-eu
    region: eu-de
    project: eu-de_shop
    username: reader
    domain: OTC-EU-DE-1
    password-file: secrets/password
    functions: ["orders-*", "!*-test"]
    settle: 90m
  - name: stock
    provider: functioncompute
    region: cn-hangzhou
    account-id: 0188
    access-key-env: STOCK_KEY
    secret-key-env: STOCK_SECRET
    include-payload: true
    rate: 2.5
  - name: own host
    region: cn-north-4
`, "secrets/password": "very-secret-1", "key": "very-secret-2",
	})
	w.env = []string{
		"HOME=/nowhere", "STOCK_KEY_FILE=key", "STOCK_SECRET=very-secret-3", "ARCHIVER_VERIFY_AFTER=90s", "ARCHIVER_PPROF=127.0.0.1:6060",
		"DATABASE_URL=postgres://someone:very-secret-4@127.0.0.1:5432/archive", "ARCHIVER_LOG_FORMAT=text",
	}
	w.fix("own host", "own-host")
	code, stdout, stderr := w.run(nil, "check", "--print-config", "--config", "archiver.yaml", "--concurrency", "4", "--no-migrate")
	if code != exitDone || strings.Contains(stdout+stderr, "very-secret") || strings.Contains(stdout, "someone") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "print-config.txt", stdout)
	if _, again, _ := w.run(nil, "check", "--print-config", "--config", "archiver.yaml", "--concurrency", "4", "--no-migrate"); again != stdout {
		t.Error("it is another the second time")
	}

	// Without a file, and with a token before the keys.
	w.env = []string{"HOME=/nowhere", "ARCHIVER_REGION=cn-north-4", "ARCHIVER_AUTH_TOKEN=very-secret", "HUAWEICLOUD_SDK_AK=very-secret", "HUAWEICLOUD_SDK_PROJECT_ID=p"}
	code, stdout, stderr = w.run(nil, "check", "--print-config")
	if code != exitDone || strings.Contains(stdout, "very-secret") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "print-config-environment.txt", stdout)

	// By a profile of the SDK's.
	w.env = []string{"HOME=" + w.dir, "ARCHIVER_REGION=cn-north-4", "HUAWEICLOUD_SDK_CREDENTIALS_FILE=key", "HUAWEICLOUD_SDK_PROJECT_ID_FILE=project"}
	w.write("project", "p-by-file\n")
	_, stdout, _ = w.run(nil, "check", "--print-config")
	for _, part := range []string{"# signs in with the SDK's profile key", "project-id: p-by-file # environment HUAWEICLOUD_SDK_PROJECT_ID_FILE"} {
		if !strings.Contains(terminal.Line(stdout), part) {
			t.Errorf("it does not say %q:\n%s", part, stdout)
		}
	}
}

// fix replaces a text in the file.
func (w *workplace) fix(from, to string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "archiver.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("archiver.yaml", strings.ReplaceAll(string(text), from, to))
}

// These settings belong to the process; all other keys belong to a source.
func TestKeys(t *testing.T) {
	t.Parallel()
	parser, err := newParser(new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	var process []string
	for _, flag := range settings.FileFlags(parser.Model) {
		if !settings.OfSource(flag) {
			process = append(process, flag.Name)
		}
	}
	slices.Sort(process)
	want := []string{"database-patience", "listen", "log-format", "log-level", "no-initial-pass", "no-migrate", "pprof", "retention", "schema"}
	if diff := cmp.Diff(want, process); diff != "" {
		t.Error(diff)
	}
}
