package extract

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// ErrOptions is matched by errors of a source's options: nothing was tried.
var ErrOptions = errors.New("source configuration")

// Endpoint reads the URL of an API. Keys and tokens go over it, so that it is
// https unless it cannot leave the machine or insecure permits it. Its errors
// go on from the name of the option.
func Endpoint(text string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("is not an http(s) URL")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// It is shown in errors and logs, where a password has no place.
		return nil, errors.New("has more than a host in it")
	}
	if u.Scheme == "http" && !insecure && !Loopback(u.Hostname()) {
		return nil, errors.New("is http:// beyond this machine: use https://, or --insecure")
	}
	return u, nil
}

// Loopback reports whether a host, without its port, cannot be another machine.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
