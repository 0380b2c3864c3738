package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopPatience is the time limit of a fast shutdown, which writes a checkpoint. An
// immediate shutdown follows. The server limits that one itself: after 5 s it kills
// the remaining sessions.
const stopPatience = 10 * time.Second

// postmaster is the server's first process, a child of this process.
type postmaster struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; valid after done
}

// startPostmaster starts the server from a thread that lives as long as the server,
// so that dieWithUs ends the server with this process and not with a thread. The
// signal requests an immediate shutdown, because nobody could follow up on a fast
// one. It loses nothing that was committed: the next start replays the log.
func startPostmaster(cmd *exec.Cmd) (*postmaster, error) {
	dieWithUs(cmd.SysProcAttr, syscall.SIGQUIT)
	p := &postmaster{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

// stop requests a fast shutdown, then an immediate one, and waits until the process
// has ended.
func (p *postmaster) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("it had already ended: %v", p.cmd.ProcessState)
	default:
	}
	p.signal(syscall.SIGINT)
	select {
	case <-p.done:
	case <-time.After(stopPatience):
		p.kill()
	}
	return p.err
}

// kill shuts the server down without a checkpoint and waits until it has ended.
func (p *postmaster) kill() {
	p.signal(syscall.SIGQUIT)
	<-p.done
}

// signal ignores the error of a process that has ended: every caller waits for
// that next.
func (p *postmaster) signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// pidFile is the content of postmaster.pid, which the server writes.
type pidFile struct {
	pid   int
	port  string
	ready bool
}

// readPIDFile returns fs.ErrNotExist if there is no file.
func readPIDFile(data string) (pidFile, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(text), "\n")
	line := func(n int) string {
		if n > len(lines) {
			return ""
		}
		return strings.TrimSpace(lines[n-1])
	}
	pid, _ := strconv.Atoi(line(1)) // 0 while the file is being written
	return pidFile{pid: pid, port: line(4), ready: line(8) == "ready"}, nil
}

// endOrphan stops a server that has outlived the process that started it. The
// caller holds the cluster's lock, so no process uses that server. A pid file that
// names no such server is removed: another process may have the number by now, and
// a new server would take it for a server of this cluster and refuse to start. The
// server's other guard, the shared memory segment of the data folder, stays.
func endOrphan(ctx context.Context, data string) error {
	file, err := readPIDFile(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if file.pid > 0 && isPostmaster(file.pid, data) {
		return killOrphan(ctx, file.pid, data)
	}
	err = os.Remove(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func killOrphan(ctx context.Context, pid int, data string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*stopPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the server that a killed process left running (process %d): %w", pid, err)
	}
	for isPostmaster(pid, data) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server that a killed process left running (process %d): %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
