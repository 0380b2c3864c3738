package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"archiver/internal/simulate"
)

func build(ctx context.Context) (string, error) {
	path, err := filepath.Abs(filepath.Join(".archiver", "bin", "archiver-bench"))
	if err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/archiver").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the archiver: %w: %s", err, out)
	}
	return path, nil
}

// process is an archiver's process that has ended. It is separate from this one, so
// that its memory and processor time are the archiver's alone.
type process struct {
	took      time.Duration
	processor time.Duration
	memory    float64 // peak resident memory, MiB
}

// endpoints are the source that an archiver reads and the database that it writes.
type endpoints struct{ source, database string }

func (b *bench) backfill(ctx context.Context, at endpoints, args ...string) (*process, error) {
	args = append([]string{
		"backfill",
		"--from", date.Format(time.DateOnly), "--to", date.AddDate(0, 0, 1).Format(time.DateOnly),
	}, args...)
	cmd := exec.CommandContext(ctx, b.binary, args...)
	cmd.Env = append(os.Environ(),
		"DATABASE_URL="+at.database, "ARCHIVER_ENDPOINT="+at.source,
		"ARCHIVER_REGION="+simulate.DefaultRegion, "HUAWEICLOUD_SDK_PROJECT_ID="+simulate.DefaultProjectID,
		"HUAWEICLOUD_SDK_AK="+accessKey, "HUAWEICLOUD_SDK_SK="+secretKey, "ARCHIVER_LOG_LEVEL=warn", "ARCHIVER_SOURCE_RETENTION=3650d")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the archiver: %w", err)
	}
	ended, peak := make(chan struct{}), make(chan float64, 1)
	go func() { peak <- watchMemory(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	took := time.Since(began)
	close(ended)
	memory := <-peak
	if err != nil {
		return nil, fmt.Errorf("archiver %s: %w: %s", args[0], err, out.Bytes())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return &process{
		took: took, memory: memory,
		processor: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
	}, nil
}

// watchMemory returns the peak of a process's resident memory, in MiB. The peak
// that wait4 reports is useless: a new process inherits the peak of its parent,
// which holds the whole day.
func watchMemory(pid int, ended <-chan struct{}) (peak float64) {
	const often = 10 * time.Millisecond
	ticks := time.NewTicker(often)
	defer ticks.Stop()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil { // else the process has ended
			var kib float64
			if _, line, found := bytes.Cut(text, []byte("VmHWM:")); found {
				if _, err := fmt.Fscan(bytes.NewReader(line), &kib); err == nil {
					peak = max(peak, kib/1024)
				}
			}
		}
		select {
		case <-ended:
			return peak
		case <-ticks.C:
		}
	}
}
