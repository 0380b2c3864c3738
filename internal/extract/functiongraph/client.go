package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

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
	PageSize      int    // invocations asked for at a time; 0 for as many as the API gives
	AuthToken     string // an IAM user token, sent as X-Auth-Token in place of signing
}

// ErrOptions is matched by errors of the options themselves: nothing was tried.
var ErrOptions = extract.ErrOptions

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
	for name, value := range map[string]string{
		"HUAWEICLOUD_SDK_AK": o.AccessKey, "HUAWEICLOUD_SDK_SK": o.SecretKey, "HUAWEICLOUD_SDK_PROJECT_ID": o.ProjectID,
		"HUAWEICLOUD_SDK_SECURITY_TOKEN": o.SecurityToken, "ARCHIVER_AUTH_TOKEN": o.AuthToken,
	} {
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			return nil, fmt.Errorf("%w: %s has a space or a line break in it", ErrOptions, name)
		}
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
		if err := lookUpProject(signing, o.Region, caller); err != nil {
			return nil, err
		}
	}
	c.credential, c.project = signing, signing.ProjectId
	return c, nil
}

// endpoint is the base URL of the calls.
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
	u, err := extract.Endpoint(o.Endpoint, o.Insecure)
	if err != nil {
		return "", fmt.Errorf("%w: ARCHIVER_ENDPOINT %w", ErrOptions, err)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// lookUpProject asks the identity service for the region's project and puts it
// into the credentials.
func lookUpProject(credentials *auth.BasicCredentials, region string, caller *extract.Caller) error {
	err := caller.Do(context.Background(), func(transport http.RoundTripper) error {
		_, err := credentials.ProcessAuthParams(impl.NewDefaultHttpClient(settings(transport)), region)
		return err
	})
	if err != nil {
		return fmt.Errorf("look up the project of region %s: %w: set HUAWEICLOUD_SDK_PROJECT_ID", region, err)
	}
	return nil
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
// SDK's definition of it, at each try: once the call has its turn.
func (c *client) call(ctx context.Context, newDef func() *def.HttpRequestDef, req any, permission string, read func(io.Reader) error) error {
	err := c.caller.Do(ctx, func(transport http.RoundTripper) error {
		// The SDK takes no context and keeps no state a call but this: a
		// client of its own for each call costs a few small structs.
		client := core.NewHcHttpClient(impl.NewDefaultHttpClient(settings(transport))).
			WithEndpoints([]string{c.endpoint}).WithCredential(c.credential)
		definition := newDef()
		definition.Response = new(stream)
		answer, err := client.Sync(req, definition)
		if err != nil {
			return err
		}
		body := answer.(*stream).Body
		defer body.Close()
		return read(body)
	})
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	return c.explained(err, permission)
}

func settings(transport http.RoundTripper) *config.HttpConfig {
	s := config.DefaultHttpConfig().WithHttpRoundTripper(transport)
	s.Timeout = 0 // the Caller's own limit covers the body as well
	return s
}

// explained gives an error of a call the meaning that the loop knows, and says
// what to do about it.
func (c *client) explained(err error, permission string) error {
	var status *extract.StatusError
	if !errors.As(err, &status) {
		if !c.caller.Answered() {
			return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION, and the network", err)
		}
		return err
	}
	switch {
	case status.Status == http.StatusUnauthorized, status.Status == http.StatusForbidden:
		return fmt.Errorf("%w: %w: check the credentials and this machine's clock, and that the user has the permission %s",
			archive.ErrDenied, err, permission)
	case status.Status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: lower ARCHIVER_RATE or ARCHIVER_CONCURRENCY", err)
	case status.Status < 400, status.Status == http.StatusNotFound && !ofService(status):
		return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION: this does not look like FunctionGraph", err)
	}
	return err
}
