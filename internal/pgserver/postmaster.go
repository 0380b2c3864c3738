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

// stopPatience is how long a fast shutdown, which writes a checkpoint, may take
// before an immediate one follows. The server itself bounds that one: after 5 s
// it kills the sessions that are still there.
const stopPatience = 10 * time.Second

// postmaster is the server's first process, our direct child.
type postmaster struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	err  error         // how it ended; to be read after done
}

// startPostmaster starts the process from a thread that lives as long as the
// process does, so that dieWithUs means "with this whole process". The signal is
// that of an immediate shutdown: with us gone nobody could follow up on a fast
// one that takes its time, and this one is bounded and loses nothing that was
// committed (the next start replays the log, as after any crash).
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

// stop asks for a fast shutdown, then for an immediate one, and waits until the
// process is gone.
func (p *postmaster) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("it had ended before: %v", p.cmd.ProcessState)
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

// kill shuts the server down without a checkpoint and waits for it.
func (p *postmaster) kill() {
	p.signal(syscall.SIGQUIT)
	<-p.done
}

// signal has nothing to report: a process that is gone already is what every
// caller waits for next.
func (p *postmaster) signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// pidFile is what the server writes to postmaster.pid.
type pidFile struct {
	pid   int
	port  string
	ready bool
}

// readPIDFile returns fs.ErrNotExist where there is none.
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
	pid, _ := strconv.Atoi(line(1)) // 0, nobody, where it is being written
	return pidFile{pid: pid, port: line(4), ready: line(8) == "ready"}, nil
}

// endOrphan stops a server that has outlived the process that started it; the
// caller holds the cluster's lock, so it is nobody's. A pid file that names no
// such server is removed: the number may be someone else's by now, and the
// server would take that one for its twin and refuse to start. (Its other guard,
// the shared memory segment of the data folder, stays.)
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
		return fmt.Errorf("stop the server a killed run left behind (process %d): %w", pid, err)
	}
	for isPostmaster(pid, data) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server a killed run left behind (process %d) to end: %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
