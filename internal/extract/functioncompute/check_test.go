package functioncompute

import (
	"errors"
	"testing"

	"archiver/internal/extract"
)

func TestOptionsCheck(t *testing.T) {
	t.Parallel()
	keys := func(id, secret string, err error) func() (Keys, error) {
		return func() (Keys, error) { return Keys{AccessKeyID: id, AccessKeySecret: secret}, err }
	}
	for name, test := range map[string]struct {
		options Options
		good    bool
	}{
		"keys":               {Options{Region: "cn-hangzhou", AccountID: "1", Keys: keys("a", "b", nil)}, true},
		"the SDK's own":      {Options{Region: "cn-hangzhou", AccountID: "1"}, true},
		"no account":         {Options{Region: "cn-hangzhou"}, false},
		"no region":          {Options{AccountID: "1"}, false},
		"unpaired surrogate": {Options{Region: "cn-hangzhou", AccountID: "1", Keys: keys("a", "", nil)}, false},
		"unreadable keys":    {Options{Region: "cn-hangzhou", AccountID: "1", Keys: keys("", "", errors.New("no such file"))}, false},
	} {
		err := test.options.Check()
		if (err == nil) != test.good || err != nil && !errors.Is(err, extract.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
