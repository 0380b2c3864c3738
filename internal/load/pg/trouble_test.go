package pg

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"testing"

	"archiver/internal/archive"
)

// A server that ends TLS, and one that vanishes, are lost.
func TestLostThroughTLS(t *testing.T) {
	t.Parallel()
	config, err := Config("postgres://archiver@localhost/archive")
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	for _, clean := range []bool{true, false} {
		near, far := net.Pipe()
		server := tls.Server(far, certified.TLS)
		go func() {
			if err := server.Handshake(); err != nil {
				t.Error(err)
			}
			if clean {
				_ = server.Close()
			}
			_ = far.Close()
		}()
		client := tls.Client(connection{near}, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // of a pipe
		_, err := config.ConnConfig.BuildFrontend(client, client).Receive()
		if TroubleOf(err) != archive.TroubleLost {
			t.Errorf("clean %v: %v", clean, err)
		}
		_ = near.Close()
	}
}
