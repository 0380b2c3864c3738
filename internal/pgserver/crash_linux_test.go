package pgserver

import "testing"

// expectGoneWithoutUs waits for the server to go by itself.
func expectGoneWithoutUs(t *testing.T, pid int, data string) {
	t.Helper()
	until(t, "the server to end with the process that started it", func() bool { return !isPostmaster(pid, data) })
}
