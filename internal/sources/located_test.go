package sources

import (
	"errors"
	"strings"
	"testing"

	"archiver/internal/settings"
)

// Reached by its endpoint or by its region, an account is one source. An endpoint that does
// not say its region is refused.
func TestLocated(t *testing.T) {
	t.Parallel()
	of := func(provider, region, endpoint, project, account string) *settings.Source {
		return &settings.Source{SourceFlags: settings.SourceFlags{
			Provider: provider, Region: region, Endpoint: endpoint, ProjectID: project, AccountID: account, Insecure: true,
		}}
	}
	for want, sources := range map[string][]*settings.Source{
		"functiongraph/eu-de/p": {
			of("functiongraph", "eu-de", "", "p", ""), of("functiongraph", "", "https://functiongraph.eu-de.otc.t-systems.com", "p", ""),
			of("functiongraph", "eu-de", "https://functiongraph.eu-de.otc.t-systems.com/", "p", ""), of("functiongraph", "eu-de", "http://127.0.0.1:1", "p", ""),
		},
		"functiongraph/cn-north-4/p": {of("functiongraph", "", "https://FunctionGraph.cn-north-4.myhuaweicloud.com:443", "p", "")},
		"functioncompute/cn-hangzhou/188": {
			of("functioncompute", "cn-hangzhou", "", "", "188"), of("functioncompute", "", "https://188.cn-hangzhou.fc.aliyuncs.com", "", ""),
			of("functioncompute", "", "https://188.cn-hangzhou-internal.fc.aliyuncs.com", "", ""), of("functioncompute", "cn-hangzhou", "http://127.0.0.1:1", "", "188"),
		},
		"ARCHIVER_ENDPOINT does not say which region it is of: set ARCHIVER_REGION": {
			of("functiongraph", "", "http://127.0.0.1:1", "p", ""), of("functiongraph", "", "https://functiongraph.eu-de.example.com", "p", ""),
			of("functiongraph", "", "https://proxy.cn-north-4.myhuaweicloud.com", "p", ""), of("functioncompute", "", "https://fc.example.com", "", "188"),
		},
		"ARCHIVER_REGION is cn-north-1, and ARCHIVER_ENDPOINT is of cn-north-4": {of("functiongraph", "cn-north-1", "https://functiongraph.cn-north-4.myhuaweicloud.com", "p", "")},
		"ALIBABA_CLOUD_ACCOUNT_ID is 189, and ARCHIVER_ENDPOINT is of 188":      {of("functioncompute", "", "https://188.cn-hangzhou.fc.aliyuncs.com", "", "189")},
		"ARCHIVER_ENDPOINT does not say which account it is of":                 {of("functioncompute", "cn-hangzhou", "https://fc.example.com", "", "")},
	} {
		for _, s := range sources {
			_, err := located(s)
			var usage *settings.UsageError
			switch {
			case err == nil && Name(s) != want:
				t.Errorf("%+v is %s, want %s", s.SourceFlags, Name(s), want)
			case err != nil && (!errors.As(err, &usage) || !strings.Contains(err.Error(), want)):
				t.Errorf("%+v: %v, want %s", s.SourceFlags, err, want)
			}
		}
	}
	if named := (&settings.Source{Name: "shop"}); Name(named) != "shop" {
		t.Errorf("the source shop is %s", Name(named))
	}
}
