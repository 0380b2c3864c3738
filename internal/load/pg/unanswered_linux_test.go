package pg

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection to a host that vanishes ends by itself.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	config, err := Config("postgres://archiver@localhost/archive")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := config.ConnConfig.DialFunc(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(connection).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for option, want := range map[int]int{unix.TCP_USER_TIMEOUT: 45_000, unix.TCP_KEEPIDLE: 15, unix.TCP_KEEPINTVL: 10, unix.TCP_KEEPCNT: 3} {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option); got != want || err != nil {
				t.Errorf("option %d is %d, want %d; %v", option, got, want, err)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}
