package extract

import (
	"net/netip"
	"strings"
)

// Loopback reports whether a host, without its port, cannot be another machine.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
