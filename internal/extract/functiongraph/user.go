package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"
	"golang.org/x/sync/semaphore"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

const (
	// A token is renewed this long before it expires. A token that lives for less
	// than 40 minutes is renewed after three quarters of its life.
	renewBefore = 10 * time.Minute
	// How long a token is used if its expiry is unknown, or already past by this
	// machine's clock. The page documents a lifetime of 24 hours.
	unknownLifetime = 10 * time.Minute
	// The pause after a failed login: IAM locks a user out after a few logins
	// with a wrong password.
	loginPause = time.Minute
)

// A user identity logs in as an IAM user, and renews the token.
type user struct {
	iam      *identityService
	name     string
	domain   string
	password extract.Secret
	scope    model.AuthScopeProject
	clock    archive.Clock
	log      *slog.Logger

	fetchLock *semaphore.Weighted // a lock: one goroutine fetches a token
	refused   failedLogin         // guarded by fetchLock
	replaced  time.Time           // when a token that was refused was replaced last; guarded by fetchLock

	mu      sync.Mutex
	token   token
	renewAt time.Time
}

// A failedLogin is a login that is not repeated before until.
type failedLogin struct {
	login login
	until time.Time
	err   error
}

func newUser(o Options, caller *extract.Caller, log *slog.Logger) (*user, error) {
	for name, given := range map[string]bool{
		"ARCHIVER_USERNAME": o.Username != "", "ARCHIVER_PASSWORD": o.Password.Given(), "ARCHIVER_DOMAIN": o.Domain != "",
	} {
		if !given {
			return nil, fmt.Errorf("%w: %s is not set: a user signs in with ARCHIVER_USERNAME, ARCHIVER_PASSWORD and ARCHIVER_DOMAIN", extract.ErrOptions, name)
		}
	}
	if _, err := o.Password.Read(); err != nil {
		return nil, fmt.Errorf("%w: %w", extract.ErrOptions, err)
	}
	service, err := newIdentityService(o, caller)
	if err != nil {
		return nil, err
	}
	u := &user{
		iam: service, name: o.Username, domain: o.Domain, password: o.Password,
		clock: caller.Clock(), log: log, fetchLock: semaphore.NewWeighted(1),
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

func (u *user) hint() string {
	return "check the credentials (ARCHIVER_USERNAME, ARCHIVER_PASSWORD, ARCHIVER_DOMAIN)"
}

func (u *user) credentials(ctx context.Context) (credentials, error) {
	t, renewAt := u.current()
	now := u.clock.Now()
	if now.Before(renewAt) {
		return credentials{token: t.value}, nil
	}
	if now.Before(t.expires) {
		if !u.fetchLock.TryAcquire(1) { // another call fetches a new token; the old one is still good
			return credentials{token: t.value}, nil
		}
		defer u.fetchLock.Release(1)
		return u.fetch(ctx, "")
	}
	return u.replacement(ctx, credentials{}) // no token was refused
}

func (u *user) replacement(ctx context.Context, refused credentials) (credentials, error) {
	if u.fetchLock.Acquire(ctx, 1) != nil {
		return credentials{}, context.Cause(ctx)
	}
	defer u.fetchLock.Release(1)
	if refused.token != "" {
		// A refusal may concern one function, and come for each of many functions.
		current, _ := u.current()
		now := u.clock.Now()
		switch {
		case current.value != refused.token: // another call has replaced it
		case now.Sub(u.replaced) < loginPause:
			return refused, nil
		default:
			u.replaced = now
		}
	}
	return u.fetch(ctx, refused.token)
}

func (u *user) current() (t token, renewAt time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.token, u.renewAt
}

// fetch returns a token other than refused: the current token if another call has
// just fetched it, or else a new one. The caller holds fetchLock.
func (u *user) fetch(ctx context.Context, refused string) (credentials, error) {
	current, renewAt := u.current()
	usable := current.value != "" && current.value != refused
	if usable && u.clock.Now().Before(renewAt) {
		return credentials{token: current.value}, nil
	}
	t, err := u.logIn(ctx)
	now := u.clock.Now()
	renewAt = renewalTime(t, now)
	switch {
	case err == nil:
	case usable && now.Before(current.expires) && context.Cause(ctx) == nil:
		u.log.Warn("cannot renew the token yet", append([]any{"expires", current.expires.Format(time.RFC3339)}, archive.ErrorKeys(err)...)...)
		t, renewAt = current, now.Add(loginPause)
	default:
		return credentials{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.token, u.renewAt = t, renewAt
	return credentials{token: t.value}, nil
}

// renewalTime is when to renew a token that was issued at now.
func renewalTime(t token, now time.Time) time.Time {
	lifetime := t.expires.Sub(now)
	if t.expires.IsZero() || lifetime <= 0 {
		return now.Add(unknownLifetime)
	}
	return t.expires.Add(-min(renewBefore, lifetime/4))
}

// logIn fetches a token with the current password. If IAM refuses the password
// and it has changed since it was read, logIn tries the new one.
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
			return t, u.explain(ctx, err)
		}
		u.refused = failedLogin{l, u.clock.Now().Add(loginPause), u.explain(ctx, err)}
	}
}

func (u *user) explain(ctx context.Context, err error) error {
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	return fmt.Errorf("log in as %s of %s: %w: %s, and the project", u.name, u.domain, err, u.hint())
}
