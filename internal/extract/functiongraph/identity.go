package functiongraph

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/request"

	"archiver/internal/extract"
)

// An identity is as whom calls are made.
type identity interface {
	// proof is what authenticates a call that is made now.
	proof(ctx context.Context) (proof, error)
	// another is what to try in place of a proof that the source refused; the
	// same one where there is no other.
	another(ctx context.Context, refused proof) (proof, error)
	// check says what an operator should look at where it is refused.
	check() string
}

// A proof authenticates a call: a token, or else keys that sign it.
type proof struct {
	token string
	keys  keys
}

// keys are issued together and change together.
type keys struct{ access, secret, security string }

// credential is the proof as the SDK takes it. It is never changed, so that
// calls may share it.
func (p proof) credential(project string) auth.ICredential {
	if p.token != "" {
		return &tokenCredential{token: p.token, project: project}
	}
	return &auth.BasicCredentials{
		BaseCredentials: auth.BaseCredentials{AK: p.keys.access, SK: p.keys.secret, SecurityToken: p.keys.security},
		ProjectId:       project,
	}
}

// A tokenCredential sends an IAM user token in place of signing; or nothing,
// where there is none yet.
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

// newIdentity chooses by what is set: the first of a token, a user, keys, and
// what the SDK finds by itself.
func newIdentity(ctx context.Context, o Options, caller *extract.Caller, log *slog.Logger) (identity, error) {
	switch {
	case o.AuthToken.Given():
		return newGivenToken(o)
	case o.Username != "" || o.Password.Given():
		return newUser(o, caller, log)
	case o.AccessKey.Given() || o.SecretKey.Given():
		return newKeyPair(o, caller.Clock())
	}
	return newFound(ctx, caller, log)
}

// A givenToken is a token that somebody else renews, if anybody.
type givenToken struct {
	secret extract.Secret

	mu   sync.Mutex
	used string
}

func newGivenToken(o Options) (*givenToken, error) {
	used, err := o.AuthToken.ReadWord()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return &givenToken{secret: o.AuthToken, used: used}, nil
}

func (g *givenToken) proof(context.Context) (proof, error) {
	now, err := g.secret.ReadWord()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil { // what cannot be read is being written
		g.used = now
	}
	return proof{token: g.used}, nil
}

func (g *givenToken) another(ctx context.Context, _ proof) (proof, error) { return g.proof(ctx) }

func (g *givenToken) check() string {
	return "check the credentials (" + g.secret.Name() + ": a token lives for 24 hours at most; with ARCHIVER_USERNAME it is renewed)"
}
