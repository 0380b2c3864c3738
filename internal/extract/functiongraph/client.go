package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/answer"
)

// Options name the project to read and the credentials. The source uses the
// first credentials that are set: a token, a user, or keys. If none is set, the
// SDK searches its profile file and the metadata service of a cloud host.
type Options struct {
	Region      string // such as cn-north-4
	Endpoint    string // a URL; empty means the region's endpoint
	IAMEndpoint string // URL of the identity service; empty means the region's
	Insecure    bool   // permits http:// to another machine
	ProjectID   string // empty means that it is looked up by name
	Project     string // the project's name; empty means the region's name
	PageSize    int    // invocations per call; 0 means the most that the API gives

	AuthToken        extract.Secret // an IAM user token, sent as X-Auth-Token; requests are not signed
	Username, Domain string         // of the user who logs in for a token
	Password         extract.Secret
	AccessKey        extract.Secret
	SecretKey        extract.Secret
	SecurityToken    extract.Secret // of temporary keys
}

// Check reports errors in the options that are visible without a call. The
// errors match extract.ErrOptions.
func (o Options) Check() error {
	if _, err := apiEndpoint(o); err != nil {
		return err
	}
	if err := o.checkNames(); err != nil {
		return err
	}
	if !o.AuthToken.Given() && o.Username == "" && !o.Password.Given() && !o.AccessKey.Given() && !o.SecretKey.Given() {
		return nil // the SDK's profile file may name the project
	}
	caller := extract.NewCaller(extract.Options{})
	// With given credentials, newIdentity makes no call.
	who, err := newIdentity(context.Background(), o, caller, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, _, err = configuredProject(o, who, caller)
	return err
}

func (o *Options) checkNames() error {
	for name, value := range map[string]string{
		"HUAWEICLOUD_SDK_PROJECT_ID": o.ProjectID, "ARCHIVER_PROJECT": o.Project, "ARCHIVER_REGION": o.Region,
	} {
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			return fmt.Errorf("%w: %s contains a space or a line break", extract.ErrOptions, name)
		}
	}
	return nil
}

// A client makes calls of one project in one region.
type client struct {
	caller   *extract.Caller
	identity identity
	endpoint string
	project  string
	answered atomic.Bool // whether FunctionGraph has ever answered; the Caller also counts the identity service
}

func newClient(ctx context.Context, o Options, caller *extract.Caller, log *slog.Logger) (*client, error) {
	endpoint, err := apiEndpoint(o)
	if err != nil {
		return nil, err
	}
	if err := o.checkNames(); err != nil {
		return nil, err
	}
	identity, err := newIdentity(ctx, o, caller, log)
	if err != nil {
		return nil, err
	}
	project, err := projectID(ctx, o, identity, caller)
	if err != nil {
		return nil, err
	}
	return &client{caller: caller, identity: identity, endpoint: endpoint, project: project}, nil
}

// A rawResponse makes the SDK return the body undecoded.
type rawResponse struct {
	HttpStatusCode int `json:"-"`
	Body           io.ReadCloser
}

// call makes one call of the API and decodes the answer. newDef makes the SDK's
// definition of the request at the beginning of each attempt. If the source
// refuses the credentials and new ones exist, call is made again with the new
// ones.
func call[T any](ctx context.Context, c *client, newDef func() *def.HttpRequestDef, req any, permission string, decode func(io.Reader) (T, error)) (T, error) {
	var decoded T
	read := answer.Insist(func(body io.Reader) (err error) {
		decoded, err = decode(body)
		return err
	})
	used, err := c.identity.credentials(ctx)
	if err != nil {
		return decoded, err
	}
	err = c.callAs(ctx, used, newDef, req, read)
	if denied(err) {
		switch replacement, failed := c.identity.replacement(ctx, used); {
		case context.Cause(ctx) != nil:
			return decoded, context.Cause(ctx)
		case failed != nil:
			err = fmt.Errorf("%w, and no other credentials work: %w", err, failed)
		case replacement != used:
			err = c.callAs(ctx, replacement, newDef, req, read)
		}
	}
	if err == nil || context.Cause(ctx) != nil {
		return decoded, err
	}
	return decoded, c.explain(err, permission)
}

func (c *client) callAs(ctx context.Context, as credentials, newDef func() *def.HttpRequestDef, req any, read func(io.Reader) error) error {
	credential := as.forSDK(c.project)
	err := c.caller.Do(ctx, func(transport http.RoundTripper) error {
		body, err := send(transport, c.endpoint, credential, newDef(), req)
		if err != nil {
			return err
		}
		defer body.Close()
		return read(body)
	})
	var status *extract.StatusError
	if err == nil || errors.As(err, &status) {
		c.answered.Store(true)
	}
	return err
}

// send sends a request through the SDK and returns the answer's body. Each call
// has its own SDK client, because the transport belongs to one attempt. Such a
// client is a few small structs.
func send(transport http.RoundTripper, endpoint string, credential auth.ICredential, definition *def.HttpRequestDef, req any) (io.ReadCloser, error) {
	client := core.NewHcHttpClient(impl.NewDefaultHttpClient(httpConfig(transport))).
		WithEndpoints([]string{endpoint}).WithCredential(credential)
	definition.Response = new(rawResponse)
	answer, err := client.Sync(req, definition)
	if err != nil {
		return nil, err
	}
	return answer.(*rawResponse).Body, nil
}

// denied reports whether the source refused the credentials (page: Querying
// Asynchronous Invocation Requests: 403 also means an invalid token). The page Querying a
// Version Alias has a 401 for an alias that does not exist.
func denied(err error) bool {
	var status *extract.StatusError
	return errors.As(err, &status) && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden) && !notFound(status)
}

// notFoundCodes say that a function or its version does not exist (page: Error Codes),
// with any status.
var notFoundCodes = []string{"FSS.0404", "FSS.0410", "FSS.1051", "FSS.1052"}

// notFound reports whether FunctionGraph does not know the function. The status 404 alone
// is not enough: a gateway at a wrong address also answers 404, with another code.
func notFound(e *extract.StatusError) bool {
	return slices.Contains(notFoundCodes, e.Code) || e.Status == http.StatusNotFound && fromFunctionGraph(e)
}

func httpConfig(transport http.RoundTripper) *config.HttpConfig {
	c := config.DefaultHttpConfig().WithHttpRoundTripper(transport)
	c.Timeout = 0 // the Caller limits each attempt, including the body
	return c
}

// explain marks an error with the archive's error values, and adds what the
// operator can do.
func (c *client) explain(err error, permission string) error {
	var status *extract.StatusError
	if !errors.As(err, &status) {
		if !c.answered.Load() {
			return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION, and the network", err)
		}
		return err
	}
	switch {
	case denied(err) && status.Status == http.StatusForbidden:
		return fmt.Errorf("%w: %w: the user needs the permission %s; or %s", archive.ErrDenied, err, permission, c.identity.hint())
	case denied(err):
		return fmt.Errorf("%w: %w: %s; the user needs the permission %s", archive.ErrDenied, err, c.identity.hint(), permission)
	case status.Throttled():
		return fmt.Errorf("%w: lower ARCHIVER_RATE or ARCHIVER_CONCURRENCY", err)
	case status.Status < 400, status.Status == http.StatusNotFound && !fromFunctionGraph(status):
		return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION: this does not look like FunctionGraph", err)
	}
	return err
}
