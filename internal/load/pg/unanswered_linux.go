package pg

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitUnanswered bounds how long the peer of a connection may leave data unacknowledged:
// see TCP_USER_TIMEOUT of tcp(7).
func limitUnanswered(network, _ string, c syscall.RawConn) (err error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	controlled := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unanswered.Milliseconds()))
	})
	if controlled != nil {
		return controlled
	}
	return err
}
