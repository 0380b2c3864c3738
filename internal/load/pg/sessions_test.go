package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver/pgtest"
)

// A neighbourhood is a database with an owner who is no superuser, and another role.
type neighbourhood struct {
	t            *testing.T
	admin        *pgx.Conn
	owner, other string // roles
	url          string // of the owner
}

func newNeighbourhood(t *testing.T) *neighbourhood {
	t.Helper()
	n := &neighbourhood{t: t, url: pgtest.Database(t)}
	n.admin = n.connect(n.url)
	name := n.admin.Config().Database
	n.owner, n.other = "owner_"+name, "other_"+name
	for _, role := range []string{n.owner, n.other} {
		n.run(n.admin, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'")
		t.Cleanup(func() {
			n.run(n.admin, "DROP OWNED BY "+role)
			n.run(n.admin, "DROP ROLE "+role)
		})
	}
	n.run(n.admin, "GRANT CREATE ON DATABASE "+name+" TO "+n.owner)
	n.run(n.admin, "GRANT CREATE ON SCHEMA public TO "+n.owner)
	n.url = n.as(n.owner)
	return n
}

func (n *neighbourhood) connect(url string) *pgx.Conn {
	n.t.Helper()
	conn, err := pgx.Connect(n.t.Context(), url)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			n.t.Error(err)
		}
	})
	return conn
}

// as is the address for another role.
func (n *neighbourhood) as(role string) string {
	n.t.Helper()
	u, err := url.Parse(n.url)
	if err != nil {
		n.t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	return u.String()
}

func (n *neighbourhood) run(conn *pgx.Conn, sql string) {
	n.t.Helper()
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		n.t.Fatalf("%s: %v", sql, err)
	}
}

func (n *neighbourhood) open(options ...Option) (*DB, error) {
	return Open(n.t.Context(), n.url, 2, slog.New(slog.DiscardHandler), options...)
}

// refused expects that nothing runs, and that the error says what to do.
func (n *neighbourhood) refused(says string, options ...Option) {
	n.t.Helper()
	for name, err := range map[string]error{
		"open": func() error {
			db, err := n.open(options...)
			if err == nil {
				db.Close()
			}
			return err
		}(),
		"migrate": func() error {
			_, err := MigrateUp(n.t.Context(), n.url, options...)
			return err
		}(),
	} {
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
			n.t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
}

// What role and database set does not reach a statement of ours.
func TestSessionIsOfOurMaking(t *testing.T) {
	t.Parallel()
	n := newNeighbourhood(t)
	n.run(n.admin, "CREATE SCHEMA evil AUTHORIZATION "+n.other)
	for setting, to := range map[string]string{
		"client_encoding": "LATIN1", "default_transaction_isolation": "serializable", "search_path": "evil",
		"default_transaction_read_only": "on", "default_transaction_deferrable": "on", "TimeZone": "Asia/Kathmandu",
		"DateStyle": "German", "IntervalStyle": "sql_standard", "extra_float_digits": "-15", "bytea_output": "escape",
		"standard_conforming_strings": "off", "statement_timeout": "1", "lock_timeout": "1min",
		"idle_in_transaction_session_timeout": "1min", "plan_cache_mode": "force_generic_plan", "row_security": "on",
		"synchronous_commit": "off", "session_replication_role": "replica", "array_nulls": "off", "application_name": "theirs", "client_min_messages": "error",
	} {
		what := []string{"ROLE " + n.owner, "DATABASE " + n.admin.Config().Database}[len(setting)%2]
		n.run(n.admin, fmt.Sprintf("ALTER %s SET %s = '%s'", what, setting, to))
	}
	var restricts bool // old releases do not
	if err := n.admin.QueryRow(t.Context(), `SELECT current_setting('restrict_nonsystem_relation_kind', true) IS NOT NULL`).Scan(&restricts); err != nil {
		t.Fatal(err)
	}
	if restricts {
		n.run(n.admin, "ALTER ROLE "+n.owner+" SET restrict_nonsystem_relation_kind = 'view'")
	}
	// Only a superuser may set this one back.
	n.refused("ALTER ROLE \"" + n.owner + "\" RESET session_replication_role")
	n.run(n.admin, "ALTER DATABASE "+n.admin.Config().Database+" RESET session_replication_role")
	n.run(n.admin, "ALTER ROLE "+n.owner+" RESET session_replication_role")
	if _, err := MigrateUp(t.Context(), n.url); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"client_encoding": "UTF8", "transaction_isolation": "read committed", "transaction_read_only": "off", "TimeZone": "UTC",
		"search_path": "archiver_internal, archiver_days, public, pg_temp",
		"DateStyle":   "ISO, MDY", "IntervalStyle": "postgres", "extra_float_digits": "1", "bytea_output": "hex",
		"standard_conforming_strings": "on", "statement_timeout": "0", "lock_timeout": "0",
		"idle_in_transaction_session_timeout": "45s", "plan_cache_mode": "force_custom_plan", "row_security": "off",
		"synchronous_commit": "on", "session_replication_role": "origin", "array_nulls": "on", "application_name": "archiver", "client_min_messages": "notice",
	}
	for _, options := range [][]Option{nil, {ReadOnly()}} {
		db, err := n.open(options...)
		if err != nil {
			t.Fatal(err)
		}
		if options != nil {
			want["transaction_read_only"] = "on"
		}
		session, err := db.Session(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for setting, want := range want {
			var is, inPool string
			err := errors.Join(session.QueryRow(t.Context(), "SHOW "+setting).Scan(&is), db.Pool.QueryRow(t.Context(), "SHOW "+setting).Scan(&inPool))
			if is != want || inPool != want {
				t.Errorf("%s is %q and %q, want %q, %v", setting, is, inPool, want, err)
			}
		}
		if err := session.Close(t.Context()); err != nil {
			t.Error(err)
		}
		db.Close()
	}
}

// A database in another encoding is refused with the command that makes one in UTF-8.
func TestEncodings(t *testing.T) {
	t.Parallel()
	n := newNeighbourhood(t)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII", "EUC_JP"} {
		name := "latin_" + strings.ToLower(encoding) + n.admin.Config().Database
		n.run(n.admin, "CREATE DATABASE "+name+" ENCODING '"+encoding+"' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
		in := *n
		in.url = strings.Replace(n.url, "/"+n.admin.Config().Database, "/"+name, 1)
		command := `CREATE DATABASE "` + name + `_utf8" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`
		in.refused("encoded in " + encoding + " and cannot hold every text: make another one with " + command)
		n.run(n.admin, command)
		n.run(n.admin, "DROP DATABASE "+name+"_utf8")
		n.run(n.admin, "DROP DATABASE "+name+" WITH (FORCE)")
	}
}

// Nothing runs where others may put something in the way of a statement, or have done so.
func TestOthersInTheSchema(t *testing.T) {
	t.Parallel()
	n := newNeighbourhood(t)
	n.run(n.admin, "GRANT CREATE ON SCHEMA public TO PUBLIC") // as PostgreSQL did up to version 14
	n.refused("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	n.refused("REVOKE CREATE ON SCHEMA public FROM PUBLIC", ReadOnly())
	other := n.connect(n.as(n.other))
	n.run(other, `CREATE FUNCTION public.unnest(integer[]) RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1'`)
	n.run(other, `CREATE FUNCTION public.less(text, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT true'`)
	n.run(other, `CREATE OPERATOR public.= (FUNCTION = public.less, LEFTARG = text, RIGHTARG = varchar)`)
	n.run(n.admin, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	for _, drop := range []string{`DROP FUNCTION public.unnest(integer[])`, `DROP OPERATOR public.=(text,character varying)`} {
		n.refused(drop)
	}
	n.refused(`DROP OPERATOR`, ReadOnly())

	// A schema of its own does without public.
	if _, err := MigrateUp(t.Context(), n.url, InSchema("people")); err != nil {
		t.Fatal(err)
	}
	db, err := n.open(InSchema("people"))
	if err != nil {
		t.Fatal(err)
	}
	db.Close()

	n.run(n.admin, `DROP FUNCTION public.unnest(integer[]); DROP OPERATOR public.=(text,character varying)`)
	n.run(n.admin, "GRANT CREATE ON SCHEMA public TO "+n.other)
	n.refused("REVOKE CREATE ON SCHEMA public FROM " + n.other)
	n.run(n.admin, "REVOKE CREATE ON SCHEMA public FROM "+n.other)
	if _, err := MigrateUp(t.Context(), n.url); err != nil {
		t.Fatal(err)
	}
	// Also a role that this one is a member of may have other members.
	n.run(n.admin, "CREATE ROLE team_"+n.owner+"; GRANT team_"+n.owner+" TO "+n.owner+"; GRANT CREATE ON SCHEMA public TO team_"+n.owner)
	n.refused("REVOKE CREATE ON SCHEMA public FROM team_" + n.owner)
	n.run(n.admin, "REVOKE CREATE ON SCHEMA public FROM team_"+n.owner+"; DROP ROLE team_"+n.owner)
	n.run(n.admin, "GRANT CREATE ON SCHEMA archiver_internal TO "+n.other)
	n.refused("REVOKE CREATE ON SCHEMA archiver_internal FROM " + n.other)
	n.run(n.admin, "REVOKE CREATE ON SCHEMA archiver_internal FROM "+n.other)
	n.run(n.admin, "ALTER SCHEMA archiver_days OWNER TO "+n.other)
	n.refused("ALTER SCHEMA archiver_days OWNER TO " + n.owner)
	n.run(n.admin, "ALTER SCHEMA archiver_days OWNER TO "+n.owner)
	if db, err = n.open(); err != nil {
		t.Fatal(err)
	}
	db.Close()

	// An administrator made the schemas for the owner.
	for _, schema := range []string{"archiver_internal", "archiver_days"} {
		n.run(n.admin, "ALTER SCHEMA "+schema+" OWNER TO "+n.admin.Config().User+"; GRANT ALL ON SCHEMA "+schema+" TO "+n.owner)
	}
	for role, options := range map[string][]Option{n.owner: nil, n.other: {ReadOnly()}} {
		as := *n
		as.url = n.as(role)
		if db, err = as.open(options...); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}

	// The internal schemas of another archive are not taken.
	n.run(n.admin, "ALTER SCHEMA people_internal RENAME TO more_internal; ALTER SCHEMA people_days RENAME TO more_days")
	if _, err := MigrateUp(t.Context(), n.url, InSchema("more")); err == nil || !strings.Contains(err.Error(), "belong to the archive in the schema people") {
		t.Errorf("another archive's schemas are taken: %v", err)
	}
}

// What is given to other roles while the archive is there: triggers, and the schema's owner.
func TestPrivilegesOfOthers(t *testing.T) {
	t.Parallel()
	n := newNeighbourhood(t)
	// A reader comes before the archive of the database's owner.
	n.run(n.admin, "ALTER DATABASE "+n.admin.Config().Database+" OWNER TO "+n.owner+"; ALTER SCHEMA public OWNER TO "+n.owner)
	early := *n
	early.url = n.as(n.other)
	reader, err := early.open(ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	n.run(n.admin, "ALTER DATABASE "+n.admin.Config().Database+" OWNER TO "+n.admin.Config().User+"; ALTER SCHEMA public OWNER TO "+n.admin.Config().User)

	owner := n.connect(n.url)
	for _, granted := range []string{"ALL ON TABLES", "CREATE ON SCHEMAS"} {
		n.run(owner, "ALTER DEFAULT PRIVILEGES GRANT "+granted+" TO "+n.other)
		what := strings.Replace(granted, "ALL", "TRIGGER", 1)
		n.refused("ALTER DEFAULT PRIVILEGES FOR ROLE " + n.owner + " REVOKE " + what + " FROM " + n.other)
		n.run(owner, "ALTER DEFAULT PRIVILEGES REVOKE "+granted+" FROM "+n.other)
	}
	// A role that is the archive's owner in another session may do what it likes.
	n.run(n.admin, "CREATE ROLE team_"+n.owner+"; GRANT team_"+n.owner+" TO "+n.owner+"; GRANT CREATE ON SCHEMA public TO team_"+n.owner)
	n.run(n.admin, "GRANT CREATE ON DATABASE "+n.admin.Config().Database+" TO team_"+n.owner+"; ALTER ROLE "+n.owner+" SET role = team_"+n.owner)
	if _, err := MigrateUp(t.Context(), n.url); err != nil {
		t.Fatal(err)
	}
	n.run(n.admin, "ALTER ROLE "+n.owner+" RESET role; REASSIGN OWNED BY team_"+n.owner+" TO "+n.owner+"; DROP OWNED BY team_"+n.owner+"; DROP ROLE team_"+n.owner)

	db, err := n.open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other := n.connect(n.as(n.other))
	n.run(n.admin, "CREATE SCHEMA theirs AUTHORIZATION "+n.other)
	n.run(other, `CREATE FUNCTION theirs.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''hijacked''; END'`)
	for _, c := range [][2]string{
		{"TRIGGER ON public.runs", "REVOKE TRIGGER ON public.runs FROM"},
		{"ALL ON archiver_internal.windows", "REVOKE TRIGGER ON ALL TABLES IN SCHEMA archiver_internal FROM"},
		{"TRIGGER ON ALL TABLES IN SCHEMA archiver_days", "REVOKE TRIGGER ON ALL TABLES IN SCHEMA archiver_days FROM"},
		{"CREATE ON SCHEMA public", "REVOKE CREATE ON SCHEMA public FROM"},
	} {
		n.run(n.admin, "GRANT "+c[0]+" TO "+n.other)
		n.refused(c[1] + " " + n.other)
		n.run(n.admin, "REVOKE "+c[0]+" FROM "+n.other)
	}
	n.run(n.admin, "GRANT TRIGGER ON public.runs TO "+n.other+"; GRANT CREATE ON SCHEMA public TO "+n.other)
	n.run(other, `CREATE TRIGGER fires BEFORE INSERT ON public.runs FOR EACH ROW EXECUTE FUNCTION theirs.fires()`)
	n.run(other, `CREATE FUNCTION public.duration_bucket(numeric) RETURNS integer LANGUAGE sql AS 'SELECT 1'`)
	n.run(n.admin, "REVOKE TRIGGER ON public.runs FROM "+n.other+"; REVOKE CREATE ON SCHEMA public FROM "+n.other)
	n.refused("DROP TRIGGER fires ON public.runs")
	n.refused("DROP FUNCTION public.duration_bucket(numeric)", ReadOnly())

	// A session that was made before notices as well.
	for _, conn := range db.Pool.AcquireAllIdle(t.Context()) {
		conn.Conn().PgConn().CustomData()[foundKey].(*found).checked = time.Now().Add(-aloneFor)
		conn.Release()
	}
	var refused *RefusedError
	if _, err := db.Pool.Exec(t.Context(), `SELECT`); !errors.As(err, &refused) {
		t.Errorf("a session goes on: %v", err)
	}
	n.run(n.admin, "DROP TRIGGER fires ON public.runs; DROP FUNCTION public.duration_bucket(numeric)")
	if _, err := db.Pool.Exec(t.Context(), `SELECT`); err != nil {
		t.Error(err)
	}

	// The owner of the database is another role, unless it can become the archive's owner.
	n.run(n.admin, "ALTER DATABASE "+n.admin.Config().Database+" OWNER TO "+n.other+"; GRANT CREATE ON SCHEMA public TO "+n.other)
	n.refused("REVOKE CREATE ON SCHEMA public FROM " + n.other)
	n.run(n.admin, "ALTER SCHEMA public OWNER TO "+n.other)
	n.refused("the schema public belongs to the role " + n.other + ", which may create objects in it: ALTER SCHEMA public OWNER TO " + n.owner)
	n.run(n.admin, "GRANT "+n.owner+" TO "+n.other)
	again, err := n.open()
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	n.run(n.admin, "ALTER DATABASE "+n.admin.Config().Database+" OWNER TO "+n.admin.Config().User+"; ALTER SCHEMA public OWNER TO "+n.admin.Config().User)
}
