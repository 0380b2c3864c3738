package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Fields of /proc/PID/stat, counted after the command's name.
const (
	statParent = 1
	statUser   = 11 // then the system time, and both times of ended children
	statTimes  = 4  // the number of these times
)

// stat returns the fields of a process.
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

func parent(pid int) (int, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[statParent])
}

// serverTime is the processor time of a PostgreSQL server in seconds: of the
// postmaster, which includes ended processes, and of the running ones.
func serverTime(postmaster int) (seconds float64) {
	const ticks = 100 // a second: USER_HZ
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		pid, _ := strconv.Atoi(filepath.Base(process))
		fields, err := stat(pid)
		if err != nil || pid != postmaster && fields[statParent] != strconv.Itoa(postmaster) {
			continue // the process has ended or is not of this server
		}
		for _, field := range fields[statUser : statUser+statTimes] {
			n, _ := strconv.ParseFloat(field, 64)
			seconds += n / ticks
		}
	}
	return seconds
}

// ownTime is the processor time of this process in seconds.
func ownTime() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails only for invalid arguments
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
