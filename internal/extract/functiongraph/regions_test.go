package functiongraph

import (
	"errors"
	"strings"
	"testing"

	"archiver/internal/extract"
)

// The endpoints of a region come from the SDK or from otcRegions; configured
// endpoints win.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	const own = "https://functiongraph.example.com"
	for name, test := range map[string]struct {
		options  Options
		api, iam string
		fails    string // of the identity service's
	}{
		"Open Telekom Cloud":    {options: Options{Region: "eu-de"}, api: "https://functiongraph.eu-de.otc.t-systems.com", iam: "https://iam.eu-de.otc.t-systems.com"},
		"Huawei Cloud":          {options: Options{Region: "cn-north-4"}, api: "https://functiongraph.cn-north-4.myhuaweicloud.com", iam: "https://iam.cn-north-4.myhuaweicloud.com"},
		"Dublin":                {options: Options{Region: "eu-west-101"}, api: "https://functiongraph.eu-west-101.myhuaweicloud.com", iam: "https://iam.eu-west-101.myhuaweicloud.eu"},
		"without an IAM":        {options: Options{Region: "cn-southwest-3"}, api: "https://functiongraph.cn-southwest-3.myhuaweicloud.com", iam: globalIAM},
		"an IAM of its own":     {options: Options{Region: "eu-de", IAMEndpoint: "https://iam.example.com"}, api: "https://functiongraph.eu-de.otc.t-systems.com", iam: "https://iam.example.com"},
		"with a version":        {options: Options{Region: "eu-de", Endpoint: own, IAMEndpoint: "https://iam.example.com/v3/"}, api: own, iam: "https://iam.example.com"},
		"an API of its own":     {options: Options{Region: "eu-de", Endpoint: own}, api: own, fails: "set ARCHIVER_IAM_ENDPOINT"},
		"an open IAM":           {options: Options{Region: "eu-de", IAMEndpoint: "http://iam.example.com"}, api: "https://functiongraph.eu-de.otc.t-systems.com", fails: "ARCHIVER_IAM_ENDPOINT is http://"},
		"an open IAM, insecure": {options: Options{Region: "eu-de", IAMEndpoint: "http://iam.example.com", Insecure: true}, api: "https://functiongraph.eu-de.otc.t-systems.com", iam: "http://iam.example.com"},
		"a password in it":      {options: Options{Region: "eu-de", IAMEndpoint: "https://u:hunter2@iam.example.com"}, api: "https://functiongraph.eu-de.otc.t-systems.com", fails: "must not contain a user"},
	} {
		api, err := apiEndpoint(test.options)
		if api != test.api || err != nil {
			t.Errorf("%s: %s, %v", name, api, err)
		}
		iam, err := iamEndpoint(test.options)
		switch {
		case test.fails == "" && (iam != test.iam || err != nil):
			t.Errorf("%s: %s, %v", name, iam, err)
		case test.fails != "" && (!errors.Is(err, extract.ErrOptions) || !strings.Contains(err.Error(), test.fails) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v", name, err)
		}
	}
}
