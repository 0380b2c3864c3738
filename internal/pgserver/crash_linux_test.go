package pgserver

import "testing"

// expectGoneWithoutUs waits until the server has ended by itself.
func expectGoneWithoutUs(t *testing.T, pid int, data string) {
	t.Helper()
	until(t, "the server ends with the process that started it", func() bool { return !isPostmaster(pid, data) })
}
