package functioncompute

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o                         Options
		endpoint, region, account string
	}{
		"region and account": {Options{Region: "cn-hangzhou", AccountID: "188"}, "https://188.cn-hangzhou.fc.aliyuncs.com", "cn-hangzhou", "188"},
		"the cloud's own":    {Options{Endpoint: "https://188.eu-central-1.fc.aliyuncs.com/"}, "https://188.eu-central-1.fc.aliyuncs.com", "eu-central-1", "188"},
		"within the cloud":   {Options{Endpoint: "https://188.cn-hangzhou-internal.fc.aliyuncs.com"}, "https://188.cn-hangzhou-internal.fc.aliyuncs.com", "cn-hangzhou", "188"},
		"another":            {Options{Endpoint: "http://127.0.0.1:8090", Region: "cn-hangzhou", AccountID: "188"}, "http://127.0.0.1:8090", "cn-hangzhou", "188"},
		"another, nameless":  {Options{Endpoint: "http://localhost:8090"}, "http://localhost:8090", "", ""},
		"insecure":           {Options{Endpoint: "http://fc.example", Insecure: true}, "http://fc.example", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.o.Keys = options().Keys
			s, err := New(c.o, newCaller(t), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if want := (archive.SourceID{Provider: "functioncompute", Region: c.region, ProjectID: c.account}); s.ID() != want || s.Endpoint() != c.endpoint {
				t.Errorf("%+v at %s", s.ID(), s.Endpoint())
			}
		})
	}
}

// Wrong options are reported before any call.
func TestOptions(t *testing.T) {
	t.Parallel()
	keys := func(k Keys) func() (Keys, error) { return func() (Keys, error) { return k, nil } }
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"no region":       {func(o *Options) { o.Region = "" }, "ARCHIVER_REGION"},
		"no account":      {func(o *Options) { o.AccountID = "" }, "ALIBABA_CLOUD_ACCOUNT_ID"},
		"a strange one":   {func(o *Options) { o.AccountID = "evil.example/" }, "ALIBABA_CLOUD_ACCOUNT_ID"},
		"strange region":  {func(o *Options) { o.Region = "evil.example/" }, "ARCHIVER_REGION"},
		"http":            {func(o *Options) { o.Endpoint = "http://fc.example" }, "--insecure"},
		"a path":          {func(o *Options) { o.Endpoint = "https://fc.example/x" }, "path"},
		"a password":      {func(o *Options) { o.Endpoint = "https://a:" + testSecret + "@fc.example" }, "must not contain a user"},
		"no secret":       {func(o *Options) { o.Keys = keys(Keys{AccessKeyID: testKey}) }, "ALIBABA_CLOUD_ACCESS_KEY_SECRET"},
		"a line break":    {func(o *Options) { o.Keys = keys(Keys{testKey, testSecret + "\n", ""}) }, "line break"},
		"unreadable file": {func(o *Options) { o.Keys = func() (Keys, error) { return Keys{}, errors.New("no file") } }, "no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			c.change(&o)
			_, err := New(o, newCaller(t), slog.New(slog.DiscardHandler))
			if !errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), c.says) {
				t.Fatal(err)
			}
			checkErrorText(t, err)
		})
	}
}

// With DEBUG=tea the SDK would print whole requests.
func TestDebug(t *testing.T) {
	t.Setenv("DEBUG", "x,dara")
	if _, err := New(options(), newCaller(t), slog.New(slog.DiscardHandler)); !errors.Is(err, extract.ErrOptions) {
		t.Error(err)
	}
}

// Without keys the SDK's chain is searched, here its profile file. If the chain
// finds none, that is not an error of the options: it may find keys later.
func TestChain(t *testing.T) {
	t.Setenv("ALIBABA_CLOUD_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
	o := options()
	o.Keys = nil
	_, err := New(o, newCaller(t), slog.New(slog.DiscardHandler))
	if err == nil || errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), "no credentials") {
		t.Error(err)
	}
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", testKey)
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", testSecret)
	if _, err := New(o, newCaller(t), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
