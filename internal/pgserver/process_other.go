//go:build !linux

package pgserver

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs does nothing here: only Linux ends a child with its parent. A server
// whose starter was killed runs on until the next start or removal of its
// cluster stops it.
func dieWithUs(*syscall.SysProcAttr, syscall.Signal) {}

// isPostmaster says whether process pid is alive and serves the cluster in data.
func isPostmaster(pid int, data string) bool {
	text, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(text)+" ", " -D "+data+" ")
}

// freeMemory is 0: only Linux has a file system in memory at a known place.
func freeMemory() uint64 { return 0 }
