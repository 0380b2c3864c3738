package pgserver

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// dieWithUs makes the kernel send sig to the process when the thread that started
// it ends, also if this process is killed. That thread must live as long as the
// process.
func dieWithUs(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// isPostmaster reports whether process pid is alive and serves the cluster in
// data. It compares the command line, because process numbers are reused. A zombie
// has no command line.
func isPostmaster(pid int, data string) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && bytes.Contains(text, []byte("\x00-D\x00"+data+"\x00"))
}

// freeMemory is how many bytes are free in the file system in memory.
func freeMemory() uint64 {
	const tmpfs = 0x01021994
	var info syscall.Statfs_t
	if err := syscall.Statfs(memory, &info); err != nil || info.Type != tmpfs {
		return 0
	}
	return info.Bavail * uint64(info.Bsize)
}
