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

// A keyPair is an access key, its secret key and, for temporary keys, a security
// token. Each of them may be in a file that is replaced. They belong together:
// the old keys are used until all of the files have changed.
type keyPair struct {
	access, secret, security extract.Secret
	clock                    archive.Clock

	mu   sync.Mutex
	used keys
}

// When the source refuses the old keys and only some of the files have changed,
// the files are read again after a pause.
const (
	rereadPause = time.Second
	maxReads    = 5
)

func newKeyPair(o Options, clock archive.Clock) (*keyPair, error) {
	if !o.AccessKey.Given() || !o.SecretKey.Given() {
		return nil, fmt.Errorf("%w: HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK must both be set", extract.ErrOptions)
	}
	k := &keyPair{access: o.AccessKey, secret: o.SecretKey, security: o.SecurityToken, clock: clock}
	var err error
	if k.used, err = k.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", extract.ErrOptions, err)
	}
	return k, nil
}

func (k *keyPair) credentials(context.Context) (credentials, error) {
	now, err := k.read()
	k.mu.Lock()
	defer k.mu.Unlock()
	// A file that cannot be read may be half written.
	if err == nil && allChanged(k.used, now) {
		k.used = now
	}
	return credentials{keys: k.used}, nil
}

func (k *keyPair) replacement(ctx context.Context, refused credentials) (credentials, error) {
	var now keys
	for read := 1; ; read++ {
		var err error
		now, err = k.read()
		switch {
		case err != nil && read == maxReads:
			return credentials{}, err
		case err == nil && now == refused.keys:
			return refused, nil
		case err == nil && (allChanged(refused.keys, now) || read == maxReads):
			k.mu.Lock()
			k.used = now
			k.mu.Unlock()
			return credentials{keys: now}, nil
		}
		if err := k.clock.Sleep(ctx, rereadPause); err != nil {
			return credentials{}, err
		}
	}
}

func (k *keyPair) hint() string {
	return "check the credentials (" + k.access.Name() + ", " + k.secret.Name() + ") and this machine's clock"
}

// read returns the current keys. It reads until two reads agree, so that it does
// not mix old and new files while they are replaced.
func (k *keyPair) read() (keys, error) {
	before, err := k.readOnce()
	for range maxReads {
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
	return keys{}, errors.New("the files of the keys change while they are read")
}

func (k *keyPair) readOnce() (now keys, err error) {
	if now.access, err = k.access.ReadWord(); err != nil {
		return keys{}, err
	}
	if now.secret, err = k.secret.ReadWord(); err != nil {
		return keys{}, err
	}
	if now.security, err = k.security.ReadWord(); err != nil {
		return keys{}, err
	}
	return now, nil
}

func allChanged(old, now keys) bool {
	return old.access != now.access && old.secret != now.secret &&
		(old.security == "" || now.security == "" || old.security != now.security)
}
