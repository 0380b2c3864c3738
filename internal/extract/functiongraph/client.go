package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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
)

// Options say which account is read, and as whom: with a token, as a user, with
// keys, the first of them that is given; else as the SDK's own chain finds, in
// its profile file or from the metadata service of a cloud host.
type Options struct {
	Region      string // such as cn-north-4
	Endpoint    string // a URL; empty for the region's own
	IAMEndpoint string // of the identity service; empty for the region's own
	Insecure    bool   // permits http:// beyond loopback
	ProjectID   string // empty to be looked up
	Project     string // its name, to look it up by; empty for the region's
	PageSize    int    // invocations asked for at a time; 0 for as many as the API gives

	AuthToken        extract.Secret // an IAM user token, sent as X-Auth-Token in place of signing
	Username, Domain string         // who logs in for such a token
	Password         extract.Secret
	AccessKey        extract.Secret
	SecretKey        extract.Secret
	SecurityToken    extract.Secret // of temporary keys
}

// ErrOptions is matched by errors of the options themselves: nothing was tried.
var ErrOptions = extract.ErrOptions

// Check says what is wrong with the options, as far as that can be told without
// asking anybody. Its errors match ErrOptions.
func (o Options) Check() error {
	if _, err := apiEndpoint(o); err != nil {
		return err
	}
	if err := o.checkWords(); err != nil {
		return err
	}
	if !o.AuthToken.Given() && o.Username == "" && !o.Password.Given() && !o.AccessKey.Given() && !o.SecretKey.Given() {
		return nil // what the SDK finds may name the project as well
	}
	caller := extract.NewCaller(extract.Options{})
	// One that is given calls nobody before it is used.
	who, err := newIdentity(context.Background(), o, caller, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, _, err = projectBy(o, who, caller)
	return err
}

// checkWords refuses what no name has in it.
func (o *Options) checkWords() error {
	for name, value := range map[string]string{
		"HUAWEICLOUD_SDK_PROJECT_ID": o.ProjectID, "ARCHIVER_PROJECT": o.Project, "ARCHIVER_REGION": o.Region,
	} {
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			return fmt.Errorf("%w: %s has a space or a line break in it", ErrOptions, name)
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
	answered atomic.Bool // ever; the identity service may have answered before
}

func newClient(ctx context.Context, o Options, caller *extract.Caller, log *slog.Logger) (*client, error) {
	endpoint, err := apiEndpoint(o)
	if err != nil {
		return nil, err
	}
	if err := o.checkWords(); err != nil {
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

// A stream is a response of which the SDK hands out the raw body.
type stream struct {
	HttpStatusCode int `json:"-"`
	Body           io.ReadCloser
}

// call makes one call of the API and has its answer read. newDef makes the
// SDK's definition of it, at each try: once the call has its turn. Where the
// source refuses what proves who calls, and there is something else by now, it
// is made once more.
func (c *client) call(ctx context.Context, newDef func() *def.HttpRequestDef, req any, permission string, read func(io.Reader) error) error {
	proof, err := c.identity.proof(ctx)
	if err != nil {
		return err
	}
	err = c.callAs(ctx, proof, newDef, req, read)
	if denied(err) {
		switch another, failed := c.identity.another(ctx, proof); {
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case failed != nil:
			err = fmt.Errorf("%w, and there are no others: %w", err, failed)
		case another != proof:
			err = c.callAs(ctx, another, newDef, req, read)
		}
	}
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	return c.explained(err, permission)
}

func (c *client) callAs(ctx context.Context, p proof, newDef func() *def.HttpRequestDef, req any, read func(io.Reader) error) error {
	credential := p.credential(c.project)
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

// send sends a request through the SDK and returns the answer's body. The SDK
// takes no context and keeps no state a call but this: a client of its own for
// each call costs a few small structs.
func send(transport http.RoundTripper, endpoint string, credential auth.ICredential, definition *def.HttpRequestDef, req any) (io.ReadCloser, error) {
	client := core.NewHcHttpClient(impl.NewDefaultHttpClient(settings(transport))).
		WithEndpoints([]string{endpoint}).WithCredential(credential)
	definition.Response = new(stream)
	answer, err := client.Sync(req, definition)
	if err != nil {
		return nil, err
	}
	return answer.(*stream).Body, nil
}

// denied reports whether the source refused who calls (page: Querying
// Asynchronous Invocation Requests, 403 for an invalid token as well).
func denied(err error) bool {
	var status *extract.StatusError
	return errors.As(err, &status) && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden)
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
		if !c.answered.Load() {
			return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION, and the network", err)
		}
		return err
	}
	switch {
	case denied(err):
		return fmt.Errorf("%w: %w: %s, and that the user has the permission %s", archive.ErrDenied, err, c.identity.check(), permission)
	case status.Status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: lower ARCHIVER_RATE or ARCHIVER_CONCURRENCY", err)
	case status.Status < 400, status.Status == http.StatusNotFound && !ofService(status):
		return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION: this does not look like FunctionGraph", err)
	}
	return err
}
