package functioncompute

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"archiver/internal/extract"
)

// domain is that of all regions (SDK: ACCOUNT.REGION.fc.aliyuncs.com).
const domain = ".fc.aliyuncs.com"

// An address says where an account's API is.
type address struct {
	scheme, host    string
	region, account string
}

// newAddress reads the options. The endpoint names account and region where it
// is the cloud's own; elsewhere they may be unknown, and are left empty.
func newAddress(o Options) (address, error) {
	at := address{scheme: "https", region: o.Region, account: o.AccountID}
	for name, value := range map[string]string{"ALIBABA_CLOUD_ACCOUNT_ID": o.AccountID, "ARCHIVER_REGION": o.Region} {
		if strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return at, fmt.Errorf("%w: %s has more than letters, digits and hyphens in it", extract.ErrOptions, name)
		}
	}
	if o.Endpoint == "" {
		switch {
		case o.Region == "":
			return at, fmt.Errorf("%w: no region: set ARCHIVER_REGION, or ARCHIVER_ENDPOINT", extract.ErrOptions)
		case o.AccountID == "":
			return at, fmt.Errorf("%w: no account: set ALIBABA_CLOUD_ACCOUNT_ID, or ARCHIVER_ENDPOINT to https://ACCOUNT.REGION%s", extract.ErrOptions, domain)
		}
		at.host = o.AccountID + "." + o.Region + domain
		return at, nil
	}
	u, err := extract.Endpoint(o.Endpoint, o.Insecure)
	if err != nil {
		return at, fmt.Errorf("%w: ARCHIVER_ENDPOINT %w", extract.ErrOptions, err)
	}
	if strings.Trim(u.Path, "/") != "" {
		return at, fmt.Errorf("%w: ARCHIVER_ENDPOINT has a path in it, which the SDK cannot ask", extract.ErrOptions)
	}
	at.scheme, at.host = u.Scheme, u.Host
	if own, ok := strings.CutSuffix(strings.ToLower(u.Hostname()), domain); ok {
		account, region, _ := strings.Cut(own, ".")
		// The endpoint within the cloud's own network.
		region = strings.TrimSuffix(region, "-internal")
		at.account, at.region = cmp.Or(at.account, account), cmp.Or(at.region, region)
	}
	return at, nil
}

// A name is a function's in the API.
type name struct{ service, function string }

func (n name) String() string { return n.service + "/" + n.function }

// urn is the function's resource name as the cloud's permissions write it,
// acs:fc:REGION:ACCOUNT:services/SERVICE/functions/FUNCTION.
func (at address) urn(n name) string {
	return "acs:fc:" + at.region + ":" + at.account + ":services/" + url.PathEscape(n.service) + "/functions/" + url.PathEscape(n.function)
}

// parseURN is the way back.
func parseURN(urn string) (n name, err error) {
	parts := strings.SplitN(urn, ":", 5)
	path := strings.Split(parts[len(parts)-1], "/")
	if len(parts) != 5 || parts[0] != "acs" || parts[1] != "fc" || len(path) != 4 || path[0] != "services" || path[2] != "functions" {
		return n, fmt.Errorf("%q is not acs:fc:REGION:ACCOUNT:services/SERVICE/functions/FUNCTION", urn)
	}
	for to, from := range map[*string]string{&n.service: path[1], &n.function: path[3]} {
		if *to, err = url.PathUnescape(from); err != nil || *to == "" {
			return n, fmt.Errorf("%q names no service or function", urn)
		}
	}
	return n, nil
}
