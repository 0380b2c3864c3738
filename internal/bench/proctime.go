package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The fields of /proc/PID/stat behind the command's name that are looked at.
const (
	statParent = 1
	statUser   = 11 // the next are of the system, and both of children waited for
	statTimes  = 4
)

// stat are these fields of a process.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < statUser+statTimes {
		return nil, fmt.Errorf("process %d has %d fields", pid, len(fields))
	}
	return fields, nil
}

// parent is the process that started another.
func parent(pid int) (int, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[statParent])
}

// serverTime is the processor time in seconds that a PostgreSQL has taken: its
// postmaster's, which has that of the processes that have ended, and that of
// those that run.
func serverTime(postmaster int) (seconds float64) {
	const ticks = 100 // a second: USER_HZ
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		pid, _ := strconv.Atoi(filepath.Base(process))
		fields, err := stat(pid)
		if err != nil || pid != postmaster && fields[statParent] != strconv.Itoa(postmaster) {
			continue // it has ended, or is another's
		}
		for _, field := range fields[statUser : statUser+statTimes] {
			n, _ := strconv.ParseFloat(field, 64)
			seconds += n / ticks
		}
	}
	return seconds
}

// ownTime is the processor time in seconds that this process has taken.
func ownTime() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it fails for wrong arguments alone
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
