package pg

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
)

// TroubleOf says what an error says about the database. Errors of other origin are no
// trouble of the database, also if they are errors of a connection.
func TroubleOf(err error) archive.Trouble {
	var refused *RefusedError
	var server *pgconn.PgError
	var connect *pgconn.ConnectError
	var lost *LostError
	switch {
	case errors.As(err, &refused):
		return archive.NoTrouble
	case errors.As(err, &lost):
		return archive.TroubleLost
	case errors.As(err, &connect), errors.Is(err, ErrStandby):
		return archive.TroubleRefused // nothing was sent
	case errors.As(err, &server):
		return troubleOf(server.Code)
	case pgconn.SafeToRetry(err), pgconn.Timeout(err):
		return archive.TroubleLost
	}
	return archive.NoTrouble
}

// Away reports whether a connection could not be made, or was lost, because the database is
// away for a while: it is no wrong password, name or certificate. Of several hosts, one is enough.
func Away(err error) bool {
	var connect *pgconn.ConnectError
	var lost *LostError
	trouble := TroubleOf(err) != archive.NoTrouble
	switch {
	case errors.Is(err, ErrStandby):
		return true
	case errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &connect):
		return false // statements took too long, such as a migration
	case trouble && errors.As(err, &lost) && !errors.As(err, &connect):
		return true // it was lost within a migration
	}
	return anyHost(err, func(err error) bool {
		var server *pgconn.PgError
		var network net.Error
		if errors.As(err, &server) {
			return awayCodes[server.Code] || pgerrcode.IsConnectionException(server.Code)
		}
		return trouble && errors.As(err, &network) && !unknown(err)
	})
}

// NoSuchHost reports whether no host of the address has an entry in the DNS: its name is
// wrong, or that of a service which has not been started.
func NoSuchHost(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) && !anyHost(err, func(err error) bool { return !unknown(err) })
}

func unknown(err error) bool {
	var name *net.DNSError
	return errors.As(err, &name) && name.IsNotFound
}

// anyHost reports whether is holds for the error of any host.
func anyHost(err error, is func(error) bool) bool {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		if hosts, ok := inner.(interface{ Unwrap() []error }); ok {
			return slices.ContainsFunc(hosts.Unwrap(), func(err error) bool { return anyHost(err, is) })
		}
	}
	return is(err)
}

// awayCodes are those of a server that stops, starts or is full. Others, such as that of a
// lock which a migration did not get, say that it is there.
var awayCodes = map[string]bool{
	pgerrcode.AdminShutdown: true, pgerrcode.CrashShutdown: true, pgerrcode.CannotConnectNow: true, pgerrcode.TooManyConnections: true,
}

// troubleOf says what a code of https://www.postgresql.org/docs/current/errcodes-appendix.html
// says.
func troubleOf(code string) archive.Trouble {
	switch code {
	case pgerrcode.SerializationFailure, pgerrcode.DeadlockDetected, pgerrcode.LockNotAvailable,
		pgerrcode.DiskFull, pgerrcode.OutOfMemory, pgerrcode.TooManyConnections, pgerrcode.InsufficientResources,
		pgerrcode.ReadOnlySQLTransaction, pgerrcode.QueryCanceled, pgerrcode.IOError:
		return archive.TroubleRefused
	case pgerrcode.AdminShutdown, pgerrcode.CrashShutdown, pgerrcode.CannotConnectNow, pgerrcode.IdleSessionTimeout,
		pgerrcode.IdleInTransactionSessionTimeout, pgerrcode.StatementCompletionUnknown:
		return archive.TroubleLost
	}
	if pgerrcode.IsConnectionException(code) {
		return archive.TroubleLost
	}
	return archive.NoTrouble
}

// A LostError says that the connection to the database was lost, or that the database is
// not the one any more that was asked before.
type LostError struct{ Err error }

func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Err }

// errOtherServer is the cause if another server answers: the database was restarted, or a
// standby took over, and may lack what was committed last.
var errOtherServer = errors.New("the database was restarted, or another server took over")

// SameServer returns a LostError if the connection leads to another server.
func SameServer(conn *pgx.Conn, server string) error {
	if ServerOf(conn) != server {
		return &LostError{errOtherServer}
	}
	return nil
}

// ServerOf says which server a connection leads to, and since when that server runs.
func ServerOf(conn *pgx.Conn) string {
	f, _ := conn.PgConn().CustomData()[foundKey].(*found)
	if f == nil {
		return ""
	}
	return f.server
}

// Server returns which server answers, and since when that server runs.
func (db *DB) Server(ctx context.Context) (server string, err error) {
	err = db.Pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		server = ServerOf(conn.Conn())
		return conn.Ping(ctx)
	})
	return server, err
}

// A connection marks the errors of its network: a source can have the same ones.
type connection struct{ net.Conn }

func (c connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, lost(err)
}

func (c connection) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, lost(err)
}

// answers marks the errors above TLS: if the peer ends TLS, nothing below fails.
type answers struct{ io.Reader }

func (a answers) Read(b []byte) (int, error) {
	n, err := a.Reader.Read(b)
	return n, lost(err)
}

// Unanswered returns the error of a call as a LostError if the time for the call is over.
// No connection of the pool was free in time, or the call may have been made.
func Unanswered(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return &LostError{err}
	}
	return err
}

func lost(err error) error {
	if err == nil {
		return nil
	}
	return &LostError{err}
}
