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

// account is the user who runs the server's programs. Nil is the current user.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount is nil unless this process runs as root, which PostgreSQL refuses.
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
	return nil, errors.New("PostgreSQL does not run as root, and neither a user postgres nor a user nobody exists")
}

// uidOrOwn is the id of the user who owns the server's files.
func (a *account) uidOrOwn() uint32 {
	if a == nil {
		return uint32(os.Geteuid())
	}
	return a.uid
}

// command prepares a program that runs as the account. It has its own process
// group, so that a terminal's Ctrl-C does not reach it, and when the context ends,
// the whole group is killed. It gets none of this process's environment, which
// another user must not read. Its working directory is / because the account may
// have no access to the current one.
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

// reaches reports whether the account can enter a folder. It tries, because file
// modes do not show ACLs and mount options.
func (a *account) reaches(ctx context.Context, dir string) bool {
	return a == nil || a.command(ctx, binaries{}, "/bin/sh", "-c", `cd -- "$1"`, "sh", dir).Run() == nil
}
