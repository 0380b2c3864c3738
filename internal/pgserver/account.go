package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user the server's programs run as; nil is the user we are.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount is nil unless we are root, whom PostgreSQL refuses to serve.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("read the numbers of user %s: %w", name, err)
		}
		return &account{name, uint32(uid), uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it as")
}

// uidOrOwn is the user id files of the server belong to.
func (a *account) uidOrOwn() uint32 {
	if a == nil {
		return uint32(os.Geteuid())
	}
	return a.uid
}

// command prepares a program that runs as the account, in a process group of its
// own (a terminal's Ctrl-C is ours to handle, not the server's) and with an
// environment that holds nothing of ours: root's is not for others to read.
// Where the context ends, the whole group is killed. The working directory is /
// because the server's user may not be able to stand in ours.
func (a *account) command(ctx context.Context, b binaries, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "PATH=" + b.dir + ":/usr/local/bin:/usr/bin:/bin"}
	if b.libs != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+b.libs)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// reaches says whether the account can enter a folder. It is tried out rather
// than worked out from modes: there are ACLs, and mounts with their own mind.
func (a *account) reaches(ctx context.Context, dir string) bool {
	return a == nil || a.command(ctx, binaries{}, "/bin/sh", "-c", `cd -- "$1"`, "sh", dir).Run() == nil
}
