package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/provider"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/request"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/region"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// Options say which account is read, and as whom. Empty keys and token leave
// the credentials to the SDK's own chain: environment, profile file, the
// metadata service of a cloud host.
type Options struct {
	Region        string // such as cn-north-4
	Endpoint      string // a URL; empty for the region's own
	Insecure      bool   // permits http:// beyond loopback
	ProjectID     string // empty to be looked up by the SDK where it can
	AccessKey     string
	SecretKey     string
	SecurityToken string // of temporary keys
	AuthToken     string // an IAM user token, sent as X-Auth-Token in place of signing
}

// ErrOptions is matched by errors of the options themselves: nothing was tried.
var ErrOptions = errors.New("source configuration")

// A client makes calls of one project in one region.
type client struct {
	caller     *extract.Caller
	credential auth.ICredential
	endpoint   string
	project    string
}

func newClient(o Options, caller *extract.Caller) (*client, error) {
	endpoint, err := endpoint(o)
	if err != nil {
		return nil, err
	}
	c := &client{caller: caller, endpoint: endpoint, project: o.ProjectID}
	if o.AuthToken != "" {
		if o.ProjectID == "" {
			return nil, fmt.Errorf("%w: a token needs the project: set HUAWEICLOUD_SDK_PROJECT_ID", ErrOptions)
		}
		c.credential = &tokenCredential{token: o.AuthToken, project: o.ProjectID}
		return c, nil
	}
	signing, err := signing(o)
	if err != nil {
		return nil, err
	}
	if signing.ProjectId == "" {
		if o.Endpoint != "" {
			return nil, fmt.Errorf("%w: an endpoint of its own needs the project: set HUAWEICLOUD_SDK_PROJECT_ID", ErrOptions)
		}
		if _, err := signing.ProcessAuthParams(impl.NewDefaultHttpClient(config.DefaultHttpConfig()), o.Region); err != nil {
			return nil, fmt.Errorf("look up the project of region %s (or set HUAWEICLOUD_SDK_PROJECT_ID): %w", o.Region, err)
		}
	}
	c.credential, c.project = signing, signing.ProjectId
	return c, nil
}

// endpoint is the base URL of the calls. Keys and tokens go over it, so that
// it is https unless it cannot leave the machine.
func endpoint(o Options) (string, error) {
	if o.Endpoint == "" {
		if o.Region == "" {
			return "", fmt.Errorf("%w: no region: set ARCHIVER_REGION, or ARCHIVER_ENDPOINT", ErrOptions)
		}
		r, err := region.SafeValueOf(o.Region)
		if err != nil || len(r.Endpoints) == 0 {
			return "", fmt.Errorf("%w: region %q is none that the SDK knows: set ARCHIVER_ENDPOINT to its URL", ErrOptions, o.Region)
		}
		return r.Endpoints[0], nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("%w: ARCHIVER_ENDPOINT is not an http(s) URL", ErrOptions)
	}
	if u.Scheme == "http" && !o.Insecure && !extract.Loopback(u.Hostname()) {
		return "", fmt.Errorf("%w: ARCHIVER_ENDPOINT is http:// beyond this machine: use https://, or --insecure", ErrOptions)
	}
	return strings.TrimRight(o.Endpoint, "/"), nil
}

// signing is what signs the calls: the keys given, or the SDK's chain.
func signing(o Options) (*auth.BasicCredentials, error) {
	if o.AccessKey == "" && o.SecretKey == "" {
		found, err := provider.BasicCredentialProviderChain().GetCredentials()
		if err != nil {
			return nil, fmt.Errorf("%w: no credentials: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or ARCHIVER_AUTH_TOKEN", ErrOptions)
		}
		credentials, ok := found.(*auth.BasicCredentials)
		if !ok {
			return nil, fmt.Errorf("%w: the SDK found credentials of another kind (%T)", ErrOptions, found)
		}
		if o.ProjectID != "" {
			credentials.ProjectId = o.ProjectID
		}
		return credentials, nil
	}
	builder := basic.NewCredentialsBuilder().WithAk(o.AccessKey).WithSk(o.SecretKey).WithProjectId(o.ProjectID)
	if o.SecurityToken != "" {
		builder.WithSecurityToken(o.SecurityToken)
	}
	credentials, err := builder.SafeBuild()
	if err != nil {
		return nil, fmt.Errorf("%w: HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK must both be set", ErrOptions)
	}
	return credentials, nil
}

// A tokenCredential sends an IAM user token in place of signing.
type tokenCredential struct{ token, project string }

func (t *tokenCredential) ProcessAuthParams(*impl.DefaultHttpClient, string) (auth.ICredential, error) {
	return t, nil
}

func (t *tokenCredential) ProcessAuthRequest(_ *impl.DefaultHttpClient, req *request.DefaultHttpRequest) (*request.DefaultHttpRequest, error) {
	return req.Builder().
		AddAutoFilledPathParam("project_id", t.project).
		AddHeaderParam("X-Project-Id", t.project).
		AddHeaderParam("X-Auth-Token", t.token).
		Build(), nil
}

// A stream is a response of which the SDK hands out the raw body.
type stream struct {
	HttpStatusCode int `json:"-"`
	Body           io.ReadCloser
}

// call makes one call of the API and has its answer read. newDef makes the
// SDK's definition of it.
func (c *client) call(ctx context.Context, newDef func() *def.HttpRequestDef, req any, read func(io.Reader) error) error {
	return c.caller.Do(ctx, func(transport http.RoundTripper) error {
		// The SDK takes no context and keeps no state a call but this: a
		// client of its own for each call costs a few small structs.
		settings := config.DefaultHttpConfig().WithHttpRoundTripper(transport)
		settings.Timeout = 0 // the Caller's own limit covers the body as well
		client := core.NewHcHttpClient(impl.NewDefaultHttpClient(settings)).
			WithEndpoints([]string{c.endpoint}).WithCredential(c.credential)
		definition := newDef()
		definition.Response = new(stream)
		answer, err := client.Sync(req, definition)
		if err != nil {
			var asked *url.Error
			if errors.As(err, &asked) {
				return asked.Err // the rest repeats the address
			}
			return err
		}
		body := answer.(*stream).Body
		defer body.Close()
		return read(body)
	})
}

// classified gives an error of a call the meaning that the loop knows.
func classified(err error, permission string) error {
	var status *extract.StatusError
	if !errors.As(err, &status) {
		return err
	}
	switch status.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w: check the credentials, and that they have the permission %s", archive.ErrDenied, err, permission)
	}
	return err
}
