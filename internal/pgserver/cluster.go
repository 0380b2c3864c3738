package pgserver

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// cluster is a cluster whose lock the caller holds.
type cluster struct {
	dir      string // lock, password, log
	data     string // what the server calls its data directory
	bins     binaries
	as       *account
	primary  *Server // of a standby
	fast     bool
	inMemory bool
	more     map[string]string // further server settings
	log      *slog.Logger

	password string
}

// prepare finds or makes the cluster, and ends a server that an earlier process
// left running on it.
func (c *cluster) prepare(ctx context.Context) error {
	home, err := c.home(ctx)
	if err != nil {
		return err
	}
	c.data = filepath.Join(home, "data")
	if err := endOrphan(ctx, c.data); err != nil {
		return err
	}
	if c.password, err = readPassword(c.passwordFile()); err != nil {
		return err
	}
	info, err := os.Lstat(c.data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.create(ctx, home)
	case err != nil:
		return err
	case !info.IsDir() || owner(info) != c.as.uidOrOwn():
		return fmt.Errorf("%s is not a folder of the user who runs the server (id %d): start the server as the user who made it, or remove %s",
			c.data, c.as.uidOrOwn(), c.dir)
	case c.password == "" && home != c.dir:
		// Someone deleted c.dir, and with it the password, to delete the cluster.
		if err := os.RemoveAll(c.data); err != nil {
			return err
		}
		return c.create(ctx, home)
	case c.password == "":
		return fmt.Errorf("%s is missing, and without the password the cluster is lost: remove %s to start afresh", c.passwordFile(), c.dir)
	}
	return c.checkVersion()
}

// home is the folder of the data folder: in memory if that is asked for and there
// is room, else c.dir, else a folder that the server's user can reach.
func (c *cluster) home(ctx context.Context) (string, error) {
	if home := elsewhere(memory, c.dir); c.inMemory && (isDir(home) || freeMemory() >= memoryNeeded) {
		return home, makeHome(ctx, home, c.dir, c.as)
	}
	home, err := reachable(ctx, c.dir, c.as)
	if err == nil && home != c.dir {
		c.log.Info("the server's user cannot reach the folder: the data are kept in another one",
			"user", c.as.name, "folder", c.dir, "data", filepath.Join(home, "data"))
	}
	return home, err
}

// checkVersion refuses data of another major version. The server would refuse them
// too, but without saying what to do.
func (c *cluster) checkVersion() error {
	text, err := os.ReadFile(filepath.Join(c.data, "PG_VERSION"))
	if err != nil {
		return err
	}
	if v := strings.TrimSpace(string(text)); v != fmt.Sprint(c.bins.version) {
		return fmt.Errorf("the cluster was made by PostgreSQL %s, the server in %s is %d: remove %s to start afresh", v, c.bins.dir, c.bins.version, c.dir)
	}
	return nil
}

// create makes the cluster in data.new and renames it to data when it is complete.
// A crash before that leaves data.new, which the next start removes.
func (c *cluster) create(ctx context.Context, home string) error {
	fresh := filepath.Join(home, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if c.password == "" {
		c.password = rand.Text()
		if c.primary != nil {
			c.password = c.primary.password
		}
		if err := writePassword(c.passwordFile(), c.password); err != nil {
			return err
		}
	}
	fill := c.initdb
	if c.primary != nil {
		fill = c.baseBackup
	}
	if err := fill(ctx, home, fresh); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, c.data); err != nil {
		return err
	}
	c.log.Info("made a PostgreSQL cluster", "data", c.data, "version", c.bins.version)
	return nil
}

func (c *cluster) initdb(ctx context.Context, home, fresh string) (err error) {
	// initdb reads the password's verifier from a file, as the server's user. Other
	// users cannot read the file.
	pw := filepath.Join(home, "initdb.pw")
	verifier, err := scramVerifier(c.password)
	if err != nil {
		return err
	}
	if err := writePassword(pw, verifier); err != nil {
		return err
	}
	// A crash leaves the file; the next attempt overwrites it.
	defer func() { err = errors.Join(err, os.Remove(pw)) }()
	if err := c.giveAway(pw); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + fresh, "--username=" + superuser, "--pwfile=" + pw,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if c.fast {
		args = append(args, "--no-sync")
	}
	return c.fill(ctx, fresh, nil, "initdb", args...)
}

// baseBackup copies the primary's data. The program's connection, with its password,
// becomes that of the standby.
func (c *cluster) baseBackup(ctx context.Context, _, fresh string) error {
	return c.fill(ctx, fresh, []string{"PGPASSWORD=" + c.password}, "pg_basebackup", "--pgdata="+fresh,
		"--write-recovery-conf", "--checkpoint=fast", "--host="+host, "--port="+strconv.Itoa(c.primary.port), "--username="+superuser)
}

// fill lets a program make the data of a new cluster.
func (c *cluster) fill(ctx context.Context, fresh string, env []string, name string, args ...string) error {
	if err := errors.Join(os.Mkdir(fresh, 0o700), c.giveAway(fresh)); err != nil {
		return err
	}
	runtime.LockOSThread() // dieWithUs ends the program with this thread
	defer runtime.UnlockOSThread()
	cmd := c.as.command(ctx, c.bins, filepath.Join(c.bins.dir, name), args...)
	cmd.Env = append(cmd.Env, env...)
	dieWithUs(cmd.SysProcAttr, syscall.SIGKILL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, lastLines(string(out), 5))
	}
	return nil
}

// giveAway makes the user who runs the server the owner of a file.
func (c *cluster) giveAway(name string) error {
	if c.as == nil {
		return nil
	}
	return os.Chown(name, int(c.as.uid), int(c.as.gid))
}

// scramVerifier is what PostgreSQL stores in place of a password, with one iteration.
// PostgreSQL's 4,096 make a weak password slow to guess; [rand.Text] is not weak. They
// cost the client 40 ms a connection where it runs with the race detector.
func scramVerifier(password string) (string, error) {
	salt := []byte(rand.Text())
	salted, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(key string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(key))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	text := base64.StdEncoding.EncodeToString
	return "SCRAM-SHA-256$1:" + text(salt) + "$" + text(stored[:]) + ":" + text(mac("Server Key")), nil
}

func (c *cluster) passwordFile() string { return filepath.Join(c.dir, "password") }

// readPassword returns "" if there is no password yet.
func readPassword(name string) (string, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// writePassword replaces a file by one that only its owner can read.
func writePassword(name, password string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(password + "\n")
	return errors.Join(err, f.Close())
}

func (c *cluster) settings(port string) []string {
	set := map[string]string{
		"listen_addresses":        host,
		"port":                    port,
		"unix_socket_directories": "", // the path of a socket is limited to 107 bytes
		"max_connections":         "100",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C",
		"logging_collector":       "off",
		"jit":                     "off", // downloaded binaries have no LLVM
	}
	if c.fast {
		set["max_connections"] = "200"
		set["fsync"] = "off"
		set["synchronous_commit"] = "off"
		set["full_page_writes"] = "off"
	}
	if c.bins.libs != "" && !isFile("/usr/share/zoneinfo/UTC") {
		// Debian's server reads the system's time zone files. Without files it
		// knows only GMT.
		set["timezone"], set["log_timezone"] = "GMT", "GMT"
	}
	maps.Copy(set, c.more)
	var args []string
	for _, k := range slices.Sorted(maps.Keys(set)) {
		args = append(args, "-c", k+"="+set[k])
	}
	return args
}

// lastLines is the last n lines of a program's output, joined to one line.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
