package pgserver

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// dieWithUs has the kernel send sig to the process once the thread that started
// it is gone, so also where we are killed and can stop nothing any more. The
// setting belongs to that thread: it has to live as long as the process.
func dieWithUs(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// isPostmaster says whether process pid is alive and serves the cluster in data.
// A process number is used again sooner or later; the command line tells. The
// dead that nobody has waited for have none.
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
