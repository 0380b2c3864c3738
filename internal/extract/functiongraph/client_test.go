package functiongraph

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*Options)
		fails  string
	}{
		"loopback":           {func(*Options) {}, ""},
		"region's own":       {func(o *Options) { o.Endpoint = "" }, ""},
		"https":              {func(o *Options) { o.Endpoint = "https://functiongraph.eu-de.otc.t-systems.com/" }, ""},
		"insecure, asked":    {func(o *Options) { o.Endpoint, o.Insecure = "http://10.0.0.1", true }, ""},
		"insecure":           {func(o *Options) { o.Endpoint = "http://10.0.0.1" }, "--insecure"},
		"no region":          {func(o *Options) { o.Endpoint, o.Region = "", "" }, "ARCHIVER_REGION"},
		"unknown region":     {func(o *Options) { o.Endpoint, o.Region = "", "mars" }, "ARCHIVER_ENDPOINT"},
		"no URL":             {func(o *Options) { o.Endpoint = "example.com" }, "not an http(s) URL"},
		"password in it":     {func(o *Options) { o.Endpoint = "https://u:hunter2@example.com" }, "must not contain a user"},
		"query in it":        {func(o *Options) { o.Endpoint = "https://example.com?a" }, "must not contain a user"},
		"no project":         {func(o *Options) { o.ProjectID = "" }, "HUAWEICLOUD_SDK_PROJECT_ID"},
		"token, no project":  {func(o *Options) { o.AuthToken, o.ProjectID = secret("t"), "" }, "HUAWEICLOUD_SDK_PROJECT_ID"},
		"half a key pair":    {func(o *Options) { o.SecretKey = extract.Secret{} }, "HUAWEICLOUD_SDK_SK"},
		"the other half":     {func(o *Options) { o.AccessKey = extract.Secret{} }, "HUAWEICLOUD_SDK_AK"},
		"a line in a secret": {func(o *Options) { o.AuthToken = extract.FixedSecret("ARCHIVER_AUTH_TOKEN", "hunter2\n") }, "ARCHIVER_AUTH_TOKEN contains a space, a line break"},
	}
	for name, c := range cases {
		o := Options{Region: "cn-north-4", Endpoint: "http://127.0.0.1:1", ProjectID: "p", AccessKey: secret("a"), SecretKey: secret("s")}
		c.change(&o)
		_, err := New(t.Context(), o, extract.NewCaller(extract.Options{}), slog.New(slog.DiscardHandler))
		switch {
		case c.fails == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.fails == "":
		case !errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: %v", name, err)
		}
	}
}

type iamAnswer struct {
	status int
	body   string
}

func (i iamAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.URL.Path, "/v3/projects") || req.Header.Get("Authorization") == "" {
		return nil, errors.New("not what was to be asked")
	}
	return &http.Response{
		StatusCode: i.status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(i.body)), Request: req,
	}, nil
}

// A project without an id is looked up by name, and the calls of the look-up
// are counted and retried like all others.
func TestProjectLookUp(t *testing.T) {
	t.Parallel()
	look := func(key string, i iamAnswer) (*Source, error) {
		caller := extract.NewCaller(extract.Options{Transport: i, Clock: clocktest.NewInstant(noon)})
		return New(t.Context(), Options{Region: "cn-north-4", AccessKey: secret(key), SecretKey: secret(testSecret)}, caller, slog.New(slog.DiscardHandler))
	}
	s, err := look("KEY-ONE", iamAnswer{200, `{"projects":[{"id":"p-1","name":"cn-north-4"}]}`})
	if err != nil || s.ID().ProjectID != "p-1" || s.Stats().Calls != 1 {
		t.Errorf("one: %v", err)
	}
	for key, i := range map[string]iamAnswer{
		"KEY-NONE":   {200, `{"projects":[]}`},
		"KEY-MANY":   {200, `{"projects":[{"id":"p-1"},{"id":"p-2"}]}`},
		"KEY-DENIED": {401, `{"error_code":"IAM.0101","error_msg":"bad KEY-DENIED"}`},
		"KEY-DOWN":   {500, ``},
		"KEY-BROKEN": {200, `<html>`},
	} {
		_, err := look(key, i)
		if err == nil || !strings.Contains(err.Error(), "set HUAWEICLOUD_SDK_PROJECT_ID") || strings.Contains(err.Error(), "KEY-") {
			t.Errorf("%s: %v", key, err)
			continue
		}
		checkErrorText(t, err)
	}
}
