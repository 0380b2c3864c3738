package functiongraph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/region"
	iamregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/region"

	"archiver/internal/extract"
)

// otcRegions are the regions of Open Telekom Cloud, which the SDK's tables lack.
// Only eu-de has FunctionGraph (page: Regions and Endpoints, Open Telekom Cloud).
var otcRegions = map[string]struct{ api, iam string }{
	"eu-de": {"https://functiongraph.eu-de.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"},
}

// domains are those of the service in all regions: functiongraph.REGION.DOMAIN (the SDK's
// tables, and the page above).
var domains = []string{"myhuaweicloud.com", "myhuaweicloud.eu", "otc.t-systems.com"}

// RegionOf returns the region in the host name of an endpoint; empty if the name is none of
// the service's own.
func RegionOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	service, rest, _ := strings.Cut(strings.ToLower(u.Hostname()), ".")
	region, domain, _ := strings.Cut(rest, ".")
	if service != "functiongraph" || !slices.Contains(domains, domain) {
		return ""
	}
	return region
}

// globalIAM is Huawei Cloud's identity service for regions without their own, as
// in the SDK.
const globalIAM = "https://iam.myhuaweicloud.com"

func apiEndpoint(o Options) (string, error) {
	if o.Endpoint != "" {
		return checkedURL("ARCHIVER_ENDPOINT", o.Endpoint, o.Insecure)
	}
	if o.Region == "" {
		return "", fmt.Errorf("%w: no region: set ARCHIVER_REGION, or ARCHIVER_ENDPOINT", extract.ErrOptions)
	}
	if r, err := region.SafeValueOf(o.Region); err == nil && len(r.Endpoints) > 0 {
		return r.Endpoints[0], nil
	}
	if r, ok := otcRegions[o.Region]; ok {
		return r.api, nil
	}
	return "", fmt.Errorf("%w: the endpoint of region %q is unknown: set ARCHIVER_ENDPOINT to its URL", extract.ErrOptions, o.Region)
}

// iamEndpoint returns the base URL of the identity service. With a configured
// API endpoint, the identity service must be configured too: a password must not
// go to the public cloud's service by default.
func iamEndpoint(o Options) (string, error) {
	if o.IAMEndpoint != "" {
		base, err := checkedURL("ARCHIVER_IAM_ENDPOINT", o.IAMEndpoint, o.Insecure)
		// OpenStack's tools write the URL with the version.
		return strings.TrimSuffix(base, "/v3"), err
	}
	if o.Endpoint != "" {
		return "", fmt.Errorf("%w: ARCHIVER_ENDPOINT is set: set ARCHIVER_IAM_ENDPOINT to its identity service", extract.ErrOptions)
	}
	if r, err := iamregion.SafeValueOf(o.Region); err == nil && len(r.Endpoints) > 0 {
		return r.Endpoints[0], nil
	}
	if r, ok := otcRegions[o.Region]; ok {
		return r.iam, nil
	}
	return globalIAM, nil
}

// checkedURL returns a configured URL without a trailing slash, or an error that
// names the option.
func checkedURL(name, given string, insecure bool) (string, error) {
	u, err := extract.Endpoint(given, insecure)
	if err != nil {
		return "", fmt.Errorf("%w: %s %w", extract.ErrOptions, name, err)
	}
	return strings.TrimRight(u.String(), "/"), nil
}
