package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// A keyPair is an access key, its secret key and, for temporary ones, their
// security token, of which each may be in a file that is replaced. They are
// issued together: the old ones are used until all of them have changed.
type keyPair struct {
	access, secret, security extract.Secret
	clock                    archive.Clock

	mu   sync.Mutex
	used keys
}

// How long to wait for the rest, where some of the keys have changed and the
// old ones are refused already.
const (
	pairPause = time.Second
	pairLooks = 5
)

func newKeyPair(o Options, clock archive.Clock) (*keyPair, error) {
	if !o.AccessKey.Given() || !o.SecretKey.Given() {
		return nil, fmt.Errorf("%w: HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK must both be set", ErrOptions)
	}
	k := &keyPair{access: o.AccessKey, secret: o.SecretKey, security: o.SecurityToken, clock: clock}
	var err error
	if k.used, err = k.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return k, nil
}

func (k *keyPair) proof(context.Context) (proof, error) {
	now, err := k.read()
	k.mu.Lock()
	defer k.mu.Unlock()
	// What cannot be read is being written.
	if err == nil && replaced(k.used, now) {
		k.used = now
	}
	return proof{keys: k.used}, nil
}

func (k *keyPair) another(ctx context.Context, refused proof) (proof, error) {
	var now keys
	for look := 1; ; look++ {
		var err error
		now, err = k.read()
		switch {
		case err != nil && look == pairLooks:
			return proof{}, err
		case err == nil && now == refused.keys:
			return refused, nil
		case err == nil && (replaced(refused.keys, now) || look == pairLooks):
			k.use(now)
			return proof{keys: now}, nil
		}
		if err := k.clock.Sleep(ctx, pairPause); err != nil {
			return proof{}, err
		}
	}
}

func (k *keyPair) use(now keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.used = now
}

func (k *keyPair) check() string {
	return "check the credentials (" + k.access.Name() + ", " + k.secret.Name() + ") and this machine's clock"
}

// read is what the keys are now. Files that are swapped together are read
// twice, lest one is read before that and another after it.
func (k *keyPair) read() (keys, error) {
	before, err := k.readOnce()
	for range pairLooks {
		if err != nil {
			return keys{}, err
		}
		var now keys
		now, err = k.readOnce()
		if err == nil && now == before {
			return now, nil
		}
		before = now
	}
	return keys{}, errors.New("the keys change while they are read")
}

func (k *keyPair) readOnce() (now keys, err error) {
	for secret, value := range map[*extract.Secret]*string{&k.access: &now.access, &k.secret: &now.secret, &k.security: &now.security} {
		if *value, err = secret.ReadWord(); err != nil {
			return keys{}, err
		}
	}
	return now, nil
}

// replaced reports whether keys are others altogether.
func replaced(old, now keys) bool {
	return old.access != now.access && old.secret != now.secret &&
		(old.security == "" || now.security == "" || old.security != now.security)
}
