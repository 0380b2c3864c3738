package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

const (
	// A token is renewed renewBefore it runs out, one of a short life after
	// three quarters of it.
	renewBefore = 10 * time.Minute
	// unknownLife is how long one is used whose life is not told (page: 24
	// hours), or has ended by this machine's clock when it comes.
	unknownLife = 10 * time.Minute
	// After a login that failed, the next one waits: users are locked out after
	// a few with a wrong password.
	loginPause = time.Minute
)

// A user is an IAM user, whose token is fetched and renewed.
type user struct {
	iam      *identityService
	name     string
	domain   string
	password extract.Secret
	scope    model.AuthScopeProject
	clock    archive.Clock
	log      *slog.Logger

	turn    chan struct{} // held by the one who fetches a token
	refused refusedLogin  // read and set in turn

	mu    sync.Mutex
	token token
	renew time.Time // when to
}

// A refusedLogin is one that is not to be repeated at once.
type refusedLogin struct {
	login login
	until time.Time
	err   error
}

func newUser(o Options, caller *extract.Caller, log *slog.Logger) (*user, error) {
	for name, given := range map[string]bool{
		"ARCHIVER_USERNAME": o.Username != "", "ARCHIVER_PASSWORD": o.Password.Given(), "ARCHIVER_DOMAIN": o.Domain != "",
	} {
		if !given {
			return nil, fmt.Errorf("%w: %s is not set: a user signs in with ARCHIVER_USERNAME, ARCHIVER_PASSWORD and ARCHIVER_DOMAIN", ErrOptions, name)
		}
	}
	if _, err := o.Password.Read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	service, err := newIdentityService(o, caller)
	if err != nil {
		return nil, err
	}
	u := &user{
		iam: service, name: o.Username, domain: o.Domain, password: o.Password,
		clock: caller.Clock(), log: log, turn: make(chan struct{}, 1),
	}
	switch name := o.projectName(); {
	case o.ProjectID != "":
		u.scope.Id = &o.ProjectID
	case name != "":
		u.scope.Name = &name
	default:
		return nil, errNoProject
	}
	return u, nil
}

func (u *user) check() string {
	return "check the credentials (ARCHIVER_USERNAME, ARCHIVER_PASSWORD, ARCHIVER_DOMAIN)"
}

func (u *user) proof(ctx context.Context) (proof, error) {
	t, renew := u.current()
	now := u.clock.Now()
	if now.Before(renew) {
		return proof{token: t.value}, nil
	}
	select {
	case u.turn <- struct{}{}:
	default:
		if now.Before(t.expires) { // one call fetches the next one, the others go on with this one
			return proof{token: t.value}, nil
		}
		select {
		case u.turn <- struct{}{}:
		case <-ctx.Done():
			return proof{}, context.Cause(ctx)
		}
	}
	defer func() { <-u.turn }()
	return u.fetch(ctx, "")
}

func (u *user) another(ctx context.Context, refused proof) (proof, error) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return proof{}, context.Cause(ctx)
	}
	return u.fetch(ctx, refused.token)
}

func (u *user) current() (t token, renew time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.token, u.renew
}

// fetch has a token that is not the one refused: one that was fetched meanwhile
// by another call, or a new one. The turn is held.
func (u *user) fetch(ctx context.Context, refused string) (proof, error) {
	before, renew := u.current()
	good := before.value != "" && before.value != refused
	if good && u.clock.Now().Before(renew) {
		return proof{token: before.value}, nil
	}
	t, err := u.logIn(ctx)
	now := u.clock.Now()
	renew = renewal(t, now)
	switch {
	case err == nil:
	case good && now.Before(before.expires) && context.Cause(ctx) == nil:
		u.log.Warn("the token cannot be renewed yet", append([]any{"expires", before.expires.Format(time.RFC3339)}, archive.ErrorKeys(err)...)...)
		t, renew = before, now.Add(loginPause)
	default:
		return proof{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.token, u.renew = t, renew
	return proof{token: t.value}, nil
}

// renewal is when to renew a token that came just now.
func renewal(t token, now time.Time) time.Time {
	life := t.expires.Sub(now)
	if t.expires.IsZero() || life <= 0 {
		return now.Add(unknownLife)
	}
	return t.expires.Add(-min(renewBefore, life/4))
}

// logIn asks for a token, with the password as it is now. A password that was
// replaced while it was refused is tried as well.
func (u *user) logIn(ctx context.Context) (token, error) {
	var l login
	for {
		password, err := u.password.Read()
		if err != nil {
			return token{}, err
		}
		tried := l
		l = login{u.name, password, u.domain}
		if tried == l || u.refused.login == l && u.clock.Now().Before(u.refused.until) {
			return token{}, u.refused.err
		}
		t, err := u.iam.token(ctx, l, u.scope)
		if err == nil || !errors.Is(err, archive.ErrDenied) || context.Cause(ctx) != nil {
			return t, u.explained(ctx, err)
		}
		u.refused = refusedLogin{l, u.clock.Now().Add(loginPause), u.explained(ctx, err)}
	}
}

func (u *user) explained(ctx context.Context, err error) error {
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	return fmt.Errorf("log in as %s of %s: %w: %s, and the project", u.name, u.domain, err, u.check())
}
