package extract

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// ErrOptions marks an error in a source's options. No call was made.
var ErrOptions = errors.New("source configuration")

// Endpoint parses the URL of an API. Requests carry keys and tokens, so the URL
// must be https://, unless the host is this machine or insecure is set. The
// error texts continue a sentence that begins with the option's name.
func Endpoint(text string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("is not an http(s) URL")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// Errors and logs show the URL, so it must not contain a password.
		return nil, errors.New("must not contain a user, a query or a fragment")
	}
	if u.Scheme == "http" && !insecure && !Loopback(u.Hostname()) {
		return nil, errors.New("is http:// beyond this machine: use https://, or --insecure")
	}
	return u, nil
}

// Loopback reports whether a host (without port) is this machine.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
