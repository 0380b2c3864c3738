package extract

import "net/netip"

// Loopback reports whether a host cannot be another machine.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
