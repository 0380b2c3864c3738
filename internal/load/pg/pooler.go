package pg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// throughPooler resets a session that a pooler may have given to other clients before.
// It refuses a pooler that gives the server's sessions to others between two
// transactions: claims, locks and settings of the archive live in sessions.
func (s *sessions) throughPooler(ctx context.Context, conn *pgconn.PgConn, standby bool) error {
	own := s.hears
	if standby { // which has no NOTIFY
		own = s.compareOnce
	}
	if err := own(ctx, conn); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `DISCARD ALL`).ReadAll(); err != nil {
		return fmt.Errorf("reset the pooler's session: %w", err)
	}
	return nil
}

// A notification takes a millisecond. If it is not heard within heardWithin, another one is
// sent, since the server may stand still; so often in all.
const (
	heardWithin   = time.Second
	notifications = 3
)

// hears proves that a connection has a session of its own between two transactions: it
// hears then what another one notifies. A pooler that lends sessions for a transaction has
// taken the session back, and loses the notification. It does not matter whether both
// connections lead to the same pooler.
func (s *sessions) hears(ctx context.Context, conn *pgconn.PgConn) error {
	other, err := s.another(ctx, conn)
	if err != nil {
		return err
	}
	defer other.Close(context.WithoutCancel(ctx))
	channel := "archiver_" + rand.Text()
	if _, err := inTime(ctx, conn, "LOCAL", `LISTEN "`+channel+`"`); err != nil {
		return fmt.Errorf("listen through the pooler: %w", err)
	}
	hearing, stop := context.WithCancel(ctx)
	notified := make(chan error, 1)
	go func() {
		defer stop()
		notified <- notify(ctx, other, channel, hearing.Done())
	}()
	for err == nil && conn.CustomData()[heardKey] != channel { // others may notify an earlier client of the session
		err = conn.WaitForNotification(hearing)
	}
	stop()
	switch failed := <-notified; {
	case failed != nil:
		return fmt.Errorf("notify through the pooler: %w", failed)
	case errors.Is(err, context.Canceled) && ctx.Err() == nil: // by stop
		return errTransactionMode
	case err != nil:
		return fmt.Errorf("wait for a notification through the pooler: %w", err)
	}
	return nil
}

// notify notifies until it is heard, or was sent often enough.
func notify(ctx context.Context, conn *pgconn.PgConn, channel string, heard <-chan struct{}) error {
	within := heardWithin
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(deadline)/(2*notifications))
	}
	for range notifications {
		if _, err := inTime(ctx, conn, "LOCAL", `NOTIFY "`+channel+`"`); err != nil {
			return err
		}
		select {
		case <-heard:
			return nil
		case <-time.After(within):
		}
	}
	return nil
}

// heardKey is the key of the last notification's channel in the connection's custom data.
const heardKey = "archiver heard"

func heard(conn *pgconn.PgConn, n *pgconn.Notification) { conn.CustomData()[heardKey] = n.Channel }

// another opens another session through the address that a connection leads to.
func (s *sessions) another(ctx context.Context, conn *pgconn.PgConn) (*pgconn.PgConn, error) {
	config := s.config.Copy()
	if s.rotated != nil {
		if err := s.rotated(ctx, config); err != nil {
			return nil, err
		}
	}
	config.ValidateConnect, config.AfterConnect = nil, nil
	dial, pooler := config.DialFunc, conn.Conn().RemoteAddr()
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, pooler.Network(), pooler.String())
	}
	other, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return nil, fmt.Errorf("open a second session through the pooler: %w", err)
	}
	return other, nil
}

// compareOnce compares two sessions of the pooler of a standby, once in the life of the
// process.
func (s *sessions) compareOnce(ctx context.Context, conn *pgconn.PgConn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proven {
		return nil
	}
	err := s.compare(ctx, conn)
	s.proven = err == nil
	return err
}

// proofRounds is how often the server's processes are compared. One round is enough, unless
// other clients of the pooler take and give back processes within it: then each look at a
// process is a matter of chance.
const proofRounds = 20

// compare compares the server processes of two clients of the pooler. A pooler that keeps
// sessions apart gives each client one process of its own. Another one gives a process that
// the first client has just used to the second one, which holds it in a transaction; or, if
// it takes idle processes in turn, gives the first one two different ones.
func (s *sessions) compare(ctx context.Context, first *pgconn.PgConn) error {
	second, err := s.another(ctx, first)
	if err != nil {
		return err
	}
	defer second.Close(context.WithoutCancel(ctx))
	of := make(map[*pgconn.PgConn]string)
	for range proofRounds {
		for _, look := range []struct {
			conn *pgconn.PgConn
			sql  string
		}{{first, backend}, {second, "BEGIN; " + backend}, {first, backend}, {second, "COMMIT; " + backend}} {
			results, err := look.conn.Exec(ctx, look.sql).ReadAll()
			var refused *pgconn.PgError
			switch {
			case errors.As(err, &refused) && refused.Code == "08P01": // a pooler in statement mode refuses BEGIN
				return errTransactionMode
			case err != nil:
				return fmt.Errorf("compare two sessions of the pooler: %w", err)
			}
			pid := string(results[len(results)-1].Rows[0][0])
			if of[look.conn] == "" {
				of[look.conn] = pid
			}
			if of[look.conn] != pid || of[first] == of[second] {
				return errTransactionMode
			}
		}
	}
	return nil
}

const backend = "SELECT pg_catalog.pg_backend_pid()"

var errTransactionMode = refuse("the address leads to a pooler in transaction mode, and the archiver needs sessions of its own: " +
	"set pool_mode = session for this database, or name PostgreSQL itself")
