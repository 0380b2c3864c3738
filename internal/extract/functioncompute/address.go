package functioncompute

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"archiver/internal/extract"
)

// domain is the domain of all regions (SDK: ACCOUNT.REGION.fc.aliyuncs.com).
const domain = ".fc.aliyuncs.com"

// An address is the address of an account's API.
type address struct {
	scheme, host    string
	region, account string
}

// newAddress reads the options. An endpoint of Alibaba Cloud contains the
// account and the region. For another endpoint they may be unknown, and are
// empty.
func newAddress(o Options) (address, error) {
	addr := address{scheme: "https", region: o.Region, account: o.AccountID}
	for name, value := range map[string]string{"ALIBABA_CLOUD_ACCOUNT_ID": o.AccountID, "ARCHIVER_REGION": o.Region} {
		if strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return addr, fmt.Errorf("%w: %s may contain only letters, digits and hyphens", extract.ErrOptions, name)
		}
	}
	if o.Endpoint == "" {
		switch {
		case o.Region == "":
			return addr, fmt.Errorf("%w: no region: set ARCHIVER_REGION, or ARCHIVER_ENDPOINT", extract.ErrOptions)
		case o.AccountID == "":
			return addr, fmt.Errorf("%w: no account: set ALIBABA_CLOUD_ACCOUNT_ID, or ARCHIVER_ENDPOINT to https://ACCOUNT.REGION%s", extract.ErrOptions, domain)
		}
		addr.host = o.AccountID + "." + o.Region + domain
		return addr, nil
	}
	u, err := extract.Endpoint(o.Endpoint, o.Insecure)
	if err != nil {
		return addr, fmt.Errorf("%w: ARCHIVER_ENDPOINT %w", extract.ErrOptions, err)
	}
	if strings.Trim(u.Path, "/") != "" {
		return addr, fmt.Errorf("%w: ARCHIVER_ENDPOINT must not have a path: the SDK cannot call it", extract.ErrOptions)
	}
	addr.scheme, addr.host = u.Scheme, u.Host
	account, region := AccountOf(o.Endpoint)
	addr.account, addr.region = cmp.Or(addr.account, account), cmp.Or(addr.region, region)
	return addr, nil
}

// AccountOf returns the account and the region in the host name of an endpoint; empty if the
// name is none of the service's own.
func AccountOf(endpoint string) (account, region string) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", ""
	}
	own, ok := strings.CutSuffix(strings.ToLower(u.Hostname()), domain)
	if !ok {
		return "", ""
	}
	account, region, _ = strings.Cut(own, ".")
	// The suffix of endpoints in the cloud's internal network.
	return account, strings.TrimSuffix(region, "-internal")
}

// A functionName is the API's name of a function.
type functionName struct{ service, function string }

func (n functionName) String() string { return n.service + "/" + n.function }

// urn returns the function's resource name in the cloud's access policies,
// acs:fc:REGION:ACCOUNT:services/SERVICE/functions/FUNCTION.
func (a address) urn(n functionName) string {
	return "acs:fc:" + a.region + ":" + a.account + ":services/" + url.PathEscape(n.service) + "/functions/" + url.PathEscape(n.function)
}

// parseURN is the reverse of urn.
func parseURN(urn string) (n functionName, err error) {
	parts := strings.SplitN(urn, ":", 5)
	path := strings.Split(parts[len(parts)-1], "/")
	if len(parts) != 5 || parts[0] != "acs" || parts[1] != "fc" || len(path) != 4 || path[0] != "services" || path[2] != "functions" {
		return n, fmt.Errorf("%q is not acs:fc:REGION:ACCOUNT:services/SERVICE/functions/FUNCTION", urn)
	}
	if n.service, err = url.PathUnescape(path[1]); err == nil {
		n.function, err = url.PathUnescape(path[3])
	}
	if err != nil || n.service == "" || n.function == "" {
		return functionName{}, fmt.Errorf("%q has no service or no function", urn)
	}
	return n, nil
}
