package functiongraph

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/request"

	"archiver/internal/extract"
)

// An identity supplies the credentials of the calls, and renews them.
type identity interface {
	// credentials returns the current credentials.
	credentials(ctx context.Context) (credentials, error)
	// replacement returns the credentials to try after the source refused some:
	// the refused ones if there are no others.
	replacement(ctx context.Context, refused credentials) (credentials, error)
	// hint says what the operator should check when the source refuses the
	// credentials.
	hint() string
}

// credentials authenticate a call: a token, or keys that sign the request.
type credentials struct {
	token string
	keys  keys
}

// keys are issued together and change together.
type keys struct{ access, secret, security string }

// forSDK returns the credentials in the SDK's type. The SDK only reads them, so
// calls may share them.
func (c credentials) forSDK(project string) auth.ICredential {
	if c.token != "" {
		return &tokenCredential{token: c.token, project: project}
	}
	return &nonceCredential{&auth.BasicCredentials{
		BaseCredentials: auth.BaseCredentials{AK: c.keys.access, SK: c.keys.secret, SecurityToken: c.keys.security},
		ProjectId:       project,
	}}
}

// A nonceCredential adds a nonce to each request that it signs. A signature knows the time
// only in seconds, so that a call that is made again at once would have the same signature,
// which the gateway may refuse.
type nonceCredential struct{ *auth.BasicCredentials }

func (n *nonceCredential) ProcessAuthRequest(client *impl.DefaultHttpClient, req *request.DefaultHttpRequest) (*request.DefaultHttpRequest, error) {
	req.Builder().AddHeaderParam("X-Sdk-Nonce", rand.Text())
	return n.BasicCredentials.ProcessAuthRequest(client, req)
}

// A tokenCredential sends an IAM user token instead of a signature. With an empty
// token it sends nothing, as for a login.
type tokenCredential struct{ token, project string }

func (t *tokenCredential) ProcessAuthParams(*impl.DefaultHttpClient, string) (auth.ICredential, error) {
	return t, nil
}

func (t *tokenCredential) ProcessAuthRequest(_ *impl.DefaultHttpClient, req *request.DefaultHttpRequest) (*request.DefaultHttpRequest, error) {
	builder := req.Builder()
	if t.project != "" {
		builder.AddAutoFilledPathParam("project_id", t.project).AddHeaderParam("X-Project-Id", t.project)
	}
	if t.token != "" {
		builder.AddHeaderParam("X-Auth-Token", t.token)
	}
	return builder.Build(), nil
}

// newIdentity returns the first identity that is configured: a token, a user, keys.
// If there is none, it returns the SDK's chain.
func newIdentity(ctx context.Context, o Options, caller *extract.Caller, log *slog.Logger) (identity, error) {
	switch {
	case o.AuthToken.Given():
		return newGivenToken(o)
	case o.Username != "" || o.Password.Given():
		return newUser(o, caller, log)
	case o.AccessKey.Given() || o.SecretKey.Given():
		return newKeyPair(o, caller.Clock())
	}
	return newSDKChain(ctx, o, caller, log)
}

// A givenToken is a configured token. The archiver cannot renew it, but its file
// may be replaced.
type givenToken struct {
	secret extract.Secret

	mu   sync.Mutex
	used string
}

func newGivenToken(o Options) (*givenToken, error) {
	used, err := o.AuthToken.ReadWord()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", extract.ErrOptions, err)
	}
	return &givenToken{secret: o.AuthToken, used: used}, nil
}

func (g *givenToken) credentials(context.Context) (credentials, error) {
	now, err := g.secret.ReadWord()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil { // a file that cannot be read may be half written
		g.used = now
	}
	return credentials{token: g.used}, nil
}

func (g *givenToken) replacement(ctx context.Context, _ credentials) (credentials, error) {
	return g.credentials(ctx)
}

func (g *givenToken) hint() string {
	return "check the credentials (" + g.secret.Name() + ": a token lives for at most 24 hours; with ARCHIVER_USERNAME the archiver renews it)"
}
