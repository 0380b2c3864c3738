package functiongraph

import (
	"errors"
	"testing"

	"archiver/internal/extract"
)

// Check finds the same errors as New, and makes no call: nothing listens at the
// endpoints of the test.
func TestOptionsCheck(t *testing.T) {
	t.Parallel()
	token := extract.FixedSecret("token", "t")
	for name, test := range map[string]struct {
		options Options
		good    bool
	}{
		"a token":             {Options{Region: "eu-de", AuthToken: token}, true},
		"keys":                {Options{Region: "eu-de", ProjectID: "p", AccessKey: token, SecretKey: token}, true},
		"a user":              {Options{Region: "eu-de", Username: "u", Domain: "d", Password: token}, true},
		"an endpoint":         {Options{Endpoint: "http://127.0.0.1:1", ProjectID: "p", AuthToken: token}, true},
		"the SDK's own":       {Options{Region: "eu-de"}, true},
		"no region":           {Options{AuthToken: token}, false},
		"an unknown region":   {Options{Region: "atlantis", AuthToken: token}, false},
		"http":                {Options{Endpoint: "http://192.0.2.1", ProjectID: "p", AuthToken: token}, false},
		"a space":             {Options{Region: "eu-de", ProjectID: "p q", AuthToken: token}, false},
		"half of the keys":    {Options{Region: "eu-de", AccessKey: token}, false},
		"no password":         {Options{Region: "eu-de", Username: "u", Domain: "d"}, false},
		"two projects":        {Options{Region: "eu-de", ProjectID: "p", Project: "p", AuthToken: token}, false},
		"no identity service": {Options{Endpoint: "http://127.0.0.1:1", Project: "p", AuthToken: token}, false},
		"no project":          {Options{Endpoint: "http://127.0.0.1:1", IAMEndpoint: "http://127.0.0.1:1", AuthToken: token}, false},
		"an empty secret":     {Options{Region: "eu-de", AuthToken: extract.SecretIn("token", "/nowhere")}, false},
	} {
		err := test.options.Check()
		if (err == nil) != test.good || err != nil && !errors.Is(err, extract.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
