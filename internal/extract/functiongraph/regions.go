package functiongraph

import (
	"fmt"
	"strings"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/region"
	iamregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/region"

	"archiver/internal/extract"
)

// regions are those that the SDK's tables leave out: Open Telekom Cloud's, where
// FunctionGraph is offered in eu-de alone (page: Regions and Endpoints, Open
// Telekom Cloud).
var regions = map[string]struct{ api, iam string }{
	"eu-de": {"https://functiongraph.eu-de.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"},
}

// globalIAM is Huawei Cloud's identity service for regions without one of their
// own, as the SDK has it.
const globalIAM = "https://iam.myhuaweicloud.com"

// apiEndpoint is the base URL of the calls.
func apiEndpoint(o Options) (string, error) {
	if o.Endpoint != "" {
		return checkedURL("ARCHIVER_ENDPOINT", o.Endpoint, o.Insecure)
	}
	if o.Region == "" {
		return "", fmt.Errorf("%w: no region: set ARCHIVER_REGION, or ARCHIVER_ENDPOINT", ErrOptions)
	}
	if r, err := region.SafeValueOf(o.Region); err == nil && len(r.Endpoints) > 0 {
		return r.Endpoints[0], nil
	}
	if r, ok := regions[o.Region]; ok {
		return r.api, nil
	}
	return "", fmt.Errorf("%w: the endpoint of region %q is not known here: set ARCHIVER_ENDPOINT to its URL", ErrOptions, o.Region)
}

// iamEndpoint is the identity service's base URL. Where the API's own was given,
// the region's identity service is not taken for granted: a password or a
// signature would go to whoever runs it.
func iamEndpoint(o Options) (string, error) {
	if o.IAMEndpoint != "" {
		base, err := checkedURL("ARCHIVER_IAM_ENDPOINT", o.IAMEndpoint, o.Insecure)
		// OpenStack's tools write the version with it.
		return strings.TrimSuffix(base, "/v3"), err
	}
	if o.Endpoint != "" {
		return "", fmt.Errorf("%w: an endpoint of its own needs its identity service: set ARCHIVER_IAM_ENDPOINT", ErrOptions)
	}
	if r, err := iamregion.SafeValueOf(o.Region); err == nil && len(r.Endpoints) > 0 {
		return r.Endpoints[0], nil
	}
	if r, ok := regions[o.Region]; ok {
		return r.iam, nil
	}
	return globalIAM, nil
}

// checkedURL is a base URL that may be called and shown.
func checkedURL(name, given string, insecure bool) (string, error) {
	u, err := extract.Endpoint(given, insecure)
	if err != nil {
		return "", fmt.Errorf("%w: %s %w", ErrOptions, name, err)
	}
	return strings.TrimRight(u.String(), "/"), nil
}
