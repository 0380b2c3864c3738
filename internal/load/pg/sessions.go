package pg

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
)

// ErrStandby is matched if the address names no server that accepts writes.
var ErrStandby = errors.New("it is a standby: nothing can be archived there")

// A RefusedError says why the database, as it is, cannot hold the archive safely, and
// what to do. The server was reached.
type RefusedError struct{ text string }

func (e *RefusedError) Error() string { return e.text }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// sessions makes every connection a session of our own making: all that the meaning of
// a statement hangs on is set after connecting, so that it does not matter what the
// role, the database, the server or a pooler set. Nothing is sent as a start-up
// parameter: PgBouncer refuses those that it does not know.
type sessions struct {
	asked       Schema
	readOnly    bool
	primary     bool
	creates     bool // the first schema is that of people: for migrations
	application string
	config      *pgx.ConnConfig
	unused      []string // parameters of the address
	rotated     func(context.Context, *pgx.ConnConfig) error
	wanted      pgconn.ValidateConnectFunc // what target_session_attrs asks for; nil for any

	mu     sync.Mutex
	proven bool    // the pooler of a standby, if there is one, keeps sessions apart
	schema *Schema // as it was found
}

// found is what a session has found: it is kept with the connection.
type found struct {
	server string // which server, and since when
	schema Schema
	taken  string // the archive whose internal schemas have the names of those asked for

	checked time.Time // when others could not create objects there
}

// aloneFor is how long a session relies on the answer who may create objects.
const aloneFor = 10 * time.Second

// mostForeign bounds the objects of others that an error names.
const mostForeign = 5

// foundKey is its key in the connection's custom data.
const foundKey = "archiver"

// prepare makes a session before the connection is used. An error of a standby lets
// pgx go on to the next host.
func (s *sessions) prepare(ctx context.Context, conn *pgconn.PgConn) error {
	server, err := inTime(ctx, conn, "LOCAL", askServer)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	row := server.Rows[0]
	pid, encoding, standby, name := string(row[0]), string(row[1]), string(row[2]) == "t", string(row[3])
	startedAt, role := string(row[4]), string(row[5])
	if encoding != "UTF8" {
		return refuse("the database is encoded in %s and cannot hold every text: make another one with CREATE DATABASE %s "+
			"ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0, and name it in DATABASE_URL",
			encoding, pgx.Identifier{name + "_utf8"}.Sanitize())
	}
	if pid != fmt.Sprint(conn.PID()) {
		if err := s.throughPooler(ctx, conn, standby); err != nil {
			return err
		}
	}
	session, err := inTime(ctx, conn, "SESSION", s.bind(makeSession, s.asked))
	if denied := (*pgconn.PgError)(nil); errors.As(err, &denied) && denied.Code == pgerrcode.InsufficientPrivilege {
		role, name = pgx.Identifier{role}.Sanitize(), pgx.Identifier{name}.Sanitize()
		return refuse("%s, and with what it is set to, triggers of the archive do not fire: a superuser resets it where it is set, with "+
			"ALTER ROLE %s RESET session_replication_role, ALTER ROLE %[2]s IN DATABASE %[3]s RESET session_replication_role, or "+
			"ALTER DATABASE %[3]s RESET session_replication_role", denied.Message, role, name)
	}
	if err != nil {
		return fmt.Errorf("make the session: %w", err)
	}
	row = session.Rows[0]
	f := &found{
		server: startedAt, schema: Schema{People: string(row[0]), Internal: string(row[1]), Days: string(row[2])}, taken: string(row[3]),
	}
	conn.CustomData()[foundKey] = f
	switch {
	case s.primary && standby:
		return ErrStandby
	case s.primary || s.wanted == nil:
		return nil
	}
	err = s.wanted(ctx, conn)
	if errors.Is(err, pgconn.ErrReadWriteConnection) {
		// read-only: this session will be, on a primary too. A standby is better.
		return pgconn.ValidateConnectTargetSessionAttrsPreferStandby(ctx, conn)
	}
	return err
}

// askServer asks what must be known of the server before anything outlives a transaction.
const askServer = `
	SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('server_encoding'),
	       pg_catalog.pg_is_in_recovery(), pg_catalog.current_database(),
	       EXTRACT(EPOCH FROM pg_catalog.pg_postmaster_start_time()), current_user`

// inTime runs statements without limits of time: a role's limit may be a millisecond. If
// it is over before the limit is off, inTime tries again. It returns what the last
// statement returned. The scope is SESSION, or LOCAL if the session may be one that a
// pooler shares with others.
func inTime(ctx context.Context, conn *pgconn.PgConn, scope, statements string) (last *pgconn.Result, err error) {
	unlimited := "SET " + scope + " statement_timeout = 0; "
	major, _, _ := strings.Cut(conn.ParameterStatus("server_version"), ".")
	if n, err := strconv.Atoi(major); err != nil || n >= 17 { // a version under test is no number
		unlimited = "SET " + scope + " transaction_timeout = 0; " + unlimited
	}
	for range 10 {
		var results []*pgconn.Result
		results, err = conn.Exec(ctx, unlimited+statements).ReadAll()
		if err == nil {
			return results[len(results)-1], nil
		}
		if cancelled := (*pgconn.PgError)(nil); !errors.As(err, &cancelled) || cancelled.Code != pgerrcode.QueryCanceled {
			break
		}
	}
	return nil, err
}

// finish sets up a connection that will be used.
func (s *sessions) finish(ctx context.Context, conn *pgconn.PgConn) error {
	f, ok := conn.CustomData()[foundKey].(*found)
	if !ok {
		return errors.New("the session was not made")
	}
	if f.taken != "" {
		return refuse("the schemas %s and %s belong to the archive in the schema %s: give --schema another name",
			f.schema.Internal, f.schema.Days, f.taken)
	}
	if err := s.alone(ctx, conn, f); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, s.last(f.schema)).ReadAll(); err != nil {
		return fmt.Errorf("make the session: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schema = &f.schema
	return nil
}

// alone reports whether no other role can put anything in the way of a statement.
func (s *sessions) alone(ctx context.Context, conn *pgconn.PgConn, f *found) error {
	results, err := conn.Exec(ctx, `SET LOCAL search_path = pg_catalog, pg_temp; `+s.bind(foreignObjects, f.schema)).ReadAll()
	if err != nil {
		return fmt.Errorf("ask who may create objects: %w", err)
	}
	var foreign []string
	for _, row := range results[1].Rows {
		foreign = append(foreign, string(row[0]))
	}
	if n := len(foreign); n > 0 {
		if n > mostForeign {
			foreign = append(foreign[:mostForeign], fmt.Sprintf("and %d more", n-mostForeign))
		}
		return refuse("statements of the archive could meet what another role made: %s; or name a schema of its own with --schema",
			strings.Join(foreign, "; "))
	}
	f.checked = time.Now()
	return nil
}

// stillAlone is asked before the pool gives a connection to a statement: others may have
// been given a privilege since the session was made.
func (s *sessions) stillAlone(ctx context.Context, conn *pgx.Conn) (usable bool, err error) {
	f, _ := conn.PgConn().CustomData()[foundKey].(*found)
	if f == nil || time.Since(f.checked) < aloneFor {
		return true, nil
	}
	err = s.alone(ctx, conn.PgConn(), f)
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		return false, err
	}
	return err == nil, nil // another connection shows what is wrong
}

// last are the statements after which a session is as it stays. Temporary tables are
// looked for last.
func (s *sessions) last(at Schema) string {
	path := []string{at.Internal, at.Days, at.People, "pg_temp"}
	if s.creates {
		path = path[2:]
	}
	for i, name := range path {
		path[i] = pgx.Identifier{name}.Sanitize()
	}
	readOnly := map[bool]string{true: "on", false: "off"}[s.readOnly]
	return `SET search_path = ` + strings.Join(path, ", ") + `; SET default_transaction_read_only = ` + readOnly
}

var (
	//go:embed session.sql
	makeSession string
	//go:embed foreign.sql
	foreignObjects string
)

// bind puts values into statements. A pooler's simple protocol has no parameters.
func (s *sessions) bind(sql string, schema Schema) string {
	life := strconv.FormatInt(archive.ClaimLife.Milliseconds(), 10)
	return strings.NewReplacer(
		"@application", literal(s.application), "@life", literal(life),
		"@asked", literal(s.asked.People), "@people", literal(schema.People), "@internal", literal(schema.Internal),
		"@days", literal(schema.Days), "@reads", strconv.FormatBool(s.readOnly),
	).Replace(sql)
}

// literal writes a text as SQL, for any setting of standard_conforming_strings.
func literal(text string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
