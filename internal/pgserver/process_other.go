//go:build !linux

package pgserver

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs does nothing: only Linux can end a child with its parent. A server whose
// parent was killed runs until the next start or removal of its cluster stops it.
func dieWithUs(*syscall.SysProcAttr, syscall.Signal) {}

// isPostmaster reports whether process pid is alive and serves the cluster in data.
func isPostmaster(pid int, data string) bool {
	text, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(text)+" ", " -D "+data+" ")
}

// freeMemory is 0: only Linux has a file system in memory at a known place.
func freeMemory() uint64 { return 0 }
