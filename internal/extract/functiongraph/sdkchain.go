package functiongraph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/provider"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"
	"golang.org/x/sync/semaphore"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// renewalPause is the shortest time between two renewals of temporary keys. While
// the keys expire within 40 minutes, the SDK would ask the metadata service at
// each call.
const renewalPause = time.Minute

// An sdkChain identity has the credentials that the SDK finds: of a federated identity
// in the environment, in its profile file, or from the metadata service of a cloud host.
// The SDK renews temporary keys (of a host, a pod or a federated identity) that expire
// within 40 minutes.
// It writes the new keys into its struct without a lock and without a context.
// So renewals run one at a time, and calls are signed with a copy of the keys.
type sdkChain struct {
	options Options
	caller  *extract.Caller
	log     *slog.Logger

	lock    *semaphore.Weighted // guards the fields below
	sdk     *auth.BasicCredentials
	renewed time.Time // last renewal, or attempt to renew
}

func newSDKChain(ctx context.Context, o Options, caller *extract.Caller, log *slog.Logger) (*sdkChain, error) {
	c := &sdkChain{options: o, caller: caller, log: log, lock: semaphore.NewWeighted(1)}
	if _, err := c.withLock(ctx, c.find); err != nil {
		return nil, err
	}
	return c, nil
}

// withLock runs do with the lock held, and returns the credentials after it. It
// returns early when ctx ends. In that case do goes on and keeps the lock: the SDK
// calls the metadata service without a context, and gives up after some seconds.
func (c *sdkChain) withLock(ctx context.Context, do func(context.Context) error) (credentials, error) {
	if c.lock.Acquire(ctx, 1) != nil {
		return credentials{}, context.Cause(ctx)
	}
	found, failed := make(chan credentials, 1), make(chan error, 1)
	go func() {
		defer c.lock.Release(1)
		if err := do(ctx); err != nil {
			failed <- err
			return
		}
		found <- credentials{keys: c.keys()}
	}()
	select {
	case now := <-found:
		return now, nil
	case err := <-failed:
		return credentials{}, err
	case <-ctx.Done():
		return credentials{}, context.Cause(ctx)
	}
}

// find searches for credentials. The SDK's error is not reported, because it may
// quote keys of the profile file or of an answer.
func (c *sdkChain) find(ctx context.Context) error {
	if (os.Getenv(idpIDVariable) == "") != (os.Getenv(idTokenVariable) == "") {
		return fmt.Errorf("%w: %s and %s must both be set", extract.ErrOptions, idpIDVariable, idTokenVariable)
	}
	answer, err := provider.BasicCredentialProviderChain().GetCredentials()
	found, ok := answer.(*auth.BasicCredentials)
	if err != nil || !ok {
		return fmt.Errorf("%w: no credentials%s: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or ARCHIVER_USERNAME, or ARCHIVER_AUTH_TOKEN",
			extract.ErrOptions, unusableProfile())
	}
	if found.IdpId != "" {
		// The SDK's own default is the public cloud's service in every region.
		o := c.options
		o.IAMEndpoint = cmp.Or(o.IAMEndpoint, found.IamEndpoint)
		if found.IamEndpoint, err = iamEndpoint(o); err != nil {
			return err
		}
	}
	c.sdk, c.renewed = found, time.Time{}
	if found.AK == "" { // a federated identity gets its keys by a renewal
		return c.renew(ctx)
	}
	c.renewed = c.caller.Clock().Now()
	return nil
}

// ProfileFile returns the path of the SDK's profile file, or "" if there is none.
func ProfileFile() string {
	file := os.Getenv("HUAWEICLOUD_SDK_CREDENTIALS_FILE")
	if home, err := os.UserHomeDir(); file == "" && err == nil {
		file = filepath.Join(home, ".huaweicloud", "credentials")
	}
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// unusableProfile names the profile file, if it exists, for the error that no
// credentials were found.
func unusableProfile() string {
	file := ProfileFile()
	if file == "" {
		return ""
	}
	return " (the profile file " + file + " has no section [basic] with ak and sk)"
}

// renew lets the SDK renew temporary keys that expire soon.
func (c *sdkChain) renew(ctx context.Context) error {
	if c.sdk.StsAccessor == nil || c.caller.Clock().Now().Sub(c.renewed) < renewalPause {
		return nil
	}
	c.renewed = c.caller.Clock().Now()
	if c.sdk.IdpId == "" {
		return c.sdk.ProcessSts(nil)
	}
	return c.signIn(ctx)
}

// The variables of a federated identity, as the SDK reads them.
const (
	idpIDVariable   = "HUAWEICLOUD_SDK_IDP_ID"
	idTokenVariable = "HUAWEICLOUD_SDK_ID_TOKEN_FILE" //nolint:gosec // the name of a variable, no secret
)

// errNoUsableAnswer takes the place of the SDK's errors, which may quote an answer with keys.
var errNoUsableAnswer = errors.New("no usable answer")

// signIn gets temporary keys for the token of a federated identity. An answer with an error
// status is reported, with the status; the SDK's own errors are not, nor logged.
func (c *sdkChain) signIn(ctx context.Context) error {
	token, err := os.ReadFile(c.sdk.IdTokenFile)
	if err != nil {
		return fmt.Errorf("read the token of the federated identity: %w", err)
	}
	ctx = extract.WithCall(extract.Redact(ctx, strings.TrimSpace(string(token))), extract.Call{Login: true})
	err = c.caller.Do(ctx, func(transport http.RoundTripper) error {
		if c.sdk.ProcessSts(impl.NewDefaultHttpClient(httpConfig(numberedAnswers{transport}))) != nil {
			return errNoUsableAnswer
		}
		return nil
	})
	var status *extract.StatusError
	switch {
	case err == nil, context.Cause(ctx) != nil:
		return err
	case !errors.As(err, &status):
		return fmt.Errorf("sign in as %s at %s: %w: check ARCHIVER_IAM_ENDPOINT or ARCHIVER_REGION, and the network", c.sdk.IdpId, c.sdk.IamEndpoint, errNoUsableAnswer)
	case status.Status < 500 && !status.Throttled():
		return fmt.Errorf("sign in as %s at %s: %w: %w: check %s and %s", c.sdk.IdpId, c.sdk.IamEndpoint, archive.ErrDenied, status, idpIDVariable, idTokenVariable)
	}
	return fmt.Errorf("sign in as %s at %s: %w", c.sdk.IdpId, c.sdk.IamEndpoint, status)
}

// numberedAnswers gives each answer an X-Request-Id, without which the SDK refuses a
// token. The page of the call does not promise one.
type numberedAnswers struct{ http.RoundTripper }

// RoundTrip sends a request.
func (n numberedAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := n.RoundTripper.RoundTrip(req)
	if err == nil && resp.Header.Get("X-Request-Id") == "" {
		resp.Header.Set("X-Request-Id", "none")
	}
	return resp, err
}

func (c *sdkChain) keys() keys {
	return keys{c.sdk.AK, c.sdk.SK, c.sdk.SecurityToken}
}

func (c *sdkChain) credentials(ctx context.Context) (credentials, error) {
	return c.withLock(ctx, func(ctx context.Context) error {
		// The old keys are valid for a while. The error is not logged, because
		// it may quote an answer with keys.
		if err := c.renew(ctx); err != nil {
			c.log.Warn("cannot renew the temporary keys; the old keys are still in use")
		}
		return nil
	})
}

func (c *sdkChain) replacement(ctx context.Context, refused credentials) (credentials, error) {
	return c.withLock(ctx, func(ctx context.Context) error {
		// A refusal may concern one function, and come for each of many functions.
		justSignedIn := c.sdk.IdpId != "" && c.caller.Clock().Now().Sub(c.renewed) < renewalPause
		if c.keys() != refused.keys || justSignedIn {
			return nil
		}
		return c.find(ctx)
	})
}

func (c *sdkChain) hint() string {
	return "check the credentials (in the SDK's profile file, or of the cloud host's agency) and this machine's clock"
}
