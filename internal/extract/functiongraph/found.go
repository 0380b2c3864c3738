package functiongraph

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/provider"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"

	"archiver/internal/extract"
)

// renewalPause is how long the SDK is not asked to renew temporary keys again:
// what it needs for it, it asks at each call of those of less than 40 minutes.
const renewalPause = time.Minute

// A found identity is of the SDK's own chain: its profile file, or the metadata
// service of a cloud host. The SDK renews the keys of the latter (and of a pod,
// and of a federated identity) once they live for less than 40 minutes, by
// setting them in place, with no lock and no context: it is let do so by one
// call at a time, and calls are signed with copies.
type found struct {
	caller *extract.Caller
	log    *slog.Logger

	// turn is held by whoever uses what follows.
	turn    chan struct{}
	sdk     *auth.BasicCredentials
	renewed time.Time // when the SDK was last asked to
}

func newFound(ctx context.Context, caller *extract.Caller, log *slog.Logger) (*found, error) {
	f := &found{caller: caller, log: log, turn: make(chan struct{}, 1)}
	if err := f.locked(ctx, f.find); err != nil {
		return nil, err
	}
	return f, nil
}

// locked does something in its turn, and waits for it no longer than for ctx:
// the SDK asks the metadata service with a client of its own, which takes no
// context and gives up after some seconds.
func (f *found) locked(ctx context.Context, do func(context.Context) error) error {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-f.turn }()
		done <- do(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// find asks the chain anew. What it says where it finds nothing may quote the
// profile file or an answer with keys in it, and is not repeated.
func (f *found) find(ctx context.Context) error {
	answer, err := provider.BasicCredentialProviderChain().GetCredentials()
	credentials, ok := answer.(*auth.BasicCredentials)
	if err != nil || !ok {
		return fmt.Errorf("%w: no credentials%s: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or ARCHIVER_USERNAME, or ARCHIVER_AUTH_TOKEN",
			ErrOptions, triedInVain())
	}
	f.sdk, f.renewed = credentials, time.Time{}
	if credentials.AK == "" { // of a federated identity
		return f.renew(ctx)
	}
	f.renewed = f.caller.Clock().Now()
	return nil
}

// ProfileFile is the path of the SDK's profile file, empty where there is none.
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

// triedInVain names a profile file that is there and of no use.
func triedInVain() string {
	file := ProfileFile()
	if file == "" {
		return ""
	}
	return " (the profile file " + file + " has no section [basic] with ak and sk)"
}

// renew has the SDK renew what it thinks is due.
func (f *found) renew(ctx context.Context) error {
	if f.sdk.StsAccessor == nil || f.caller.Clock().Now().Sub(f.renewed) < renewalPause {
		return nil
	}
	f.renewed = f.caller.Clock().Now()
	if f.sdk.IdpId == "" {
		return f.sdk.ProcessSts(nil)
	}
	return f.caller.Do(ctx, func(transport http.RoundTripper) error {
		return f.sdk.ProcessSts(impl.NewDefaultHttpClient(settings(transport)))
	})
}

func (f *found) keys() keys {
	return keys{f.sdk.AK, f.sdk.SK, f.sdk.SecurityToken}
}

func (f *found) proof(ctx context.Context) (p proof, err error) {
	var now keys
	err = f.locked(ctx, func(ctx context.Context) error {
		// Where that fails, the keys of before live on for a while. The error
		// may quote an answer with keys in it.
		if err := f.renew(ctx); err != nil {
			f.log.Warn("temporary keys cannot be renewed, those of before are used on")
		}
		now = f.keys()
		return nil
	})
	if err != nil {
		return proof{}, err
	}
	return proof{keys: now}, nil
}

func (f *found) another(ctx context.Context, refused proof) (proof, error) {
	var now keys
	err := f.locked(ctx, func(ctx context.Context) error {
		if now = f.keys(); now != refused.keys {
			return nil
		}
		err := f.find(ctx)
		now = f.keys()
		return err
	})
	if err != nil {
		return proof{}, err
	}
	return proof{keys: now}, nil
}

func (f *found) check() string {
	return "check the credentials (of the SDK's profile file, or of the cloud host's agency) and this machine's clock"
}
