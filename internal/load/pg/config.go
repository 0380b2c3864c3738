package pg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connectTimeout is how long a server may take to answer a connection attempt,
// unless the address says otherwise.
const connectTimeout = 10 * time.Second

// A host that vanishes without a word is found out within a minute: by probes while its
// answer is awaited, and by unanswered, where the system has it, while it is written to.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 10 * time.Second, Count: 3}

const unanswered = 45 * time.Second

// statementCache is how many prepared statements a session keeps.
const statementCache = 512

// An Option changes how the database is connected to.
type Option func(*sessions)

// ReadOnly makes the database refuse every write of these connections. They read
// from a standby too, and from the archive of another role.
func ReadOnly() Option { return func(s *sessions) { s.readOnly, s.primary = true, false } }

// OnPrimary connects only to a server that accepts writes. If the address names no
// such server, the error is ErrStandby. Without ReadOnly, this is always so.
func OnPrimary() Option { return func(s *sessions) { s.primary = true } }

// InSchema names the schema that people query: see Schema. Empty is DefaultSchema.
func InSchema(name string) Option {
	return func(s *sessions) { s.asked = schemaNamed(cmp.Or(name, DefaultSchema)) }
}

// Rotated reads the address again for every new connection and uses its user
// and password, so that credentials can be replaced while the process runs. If
// the address cannot be read, the last user and password are used.
func Rotated(address func() (string, error)) Option {
	return func(s *sessions) {
		s.rotated = func(_ context.Context, c *pgx.ConnConfig) error {
			now, err := address()
			if err != nil {
				return nil //nolint:nilerr // the last password may still be right; if not, the server refuses it
			}
			if read, err := parse(now); err == nil {
				c.User, c.Password = read.ConnConfig.User, read.ConnConfig.Password
			}
			return nil
		}
	}
}

// Config reads a database address. Every connection of the product is made with a
// Config. Errors do not show the password.
func Config(databaseURL string, options ...Option) (*pgxpool.Config, error) {
	config, _, err := configure(databaseURL, options)
	return config, err
}

func configure(databaseURL string, options []Option) (*pgxpool.Config, *sessions, error) {
	config, err := parse(databaseURL)
	if err != nil {
		return nil, nil, err
	}
	s := &sessions{asked: schemaNamed(DefaultSchema), primary: true, application: "archiver"}
	for _, apply := range options {
		apply(s)
	}
	c := config.ConnConfig
	for name, value := range c.RuntimeParams {
		switch name {
		case "application_name":
			s.application = strings.Map(ascii, value)
		case "options": // goes to the server as it is, as with libpq
			continue
		default:
			s.unused = append(s.unused, name)
		}
		delete(c.RuntimeParams, name)
	}
	slices.Sort(s.unused)
	// Not what the address says: libpq has no such parameters.
	c.DefaultQueryExecMode, c.StatementCacheCapacity = pgx.QueryExecModeCacheStatement, statementCache
	config.MinConns, config.MinIdleConns, config.MaxConnLifetime, config.MaxConnLifetimeJitter = 0, 0, time.Hour, 0
	config.MaxConnIdleTime, config.HealthCheckPeriod = 30*time.Minute, time.Minute
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{KeepAliveConfig: keepAlive, Control: limitUnanswered}
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return connection{conn}, nil
	}
	build := c.BuildFrontend
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend { return build(answers{r}, w) }
	s.config, s.wanted = c, c.ValidateConnect
	c.ValidateConnect = s.prepare
	c.AfterConnect = s.finish
	c.OnNotification = heard
	config.BeforeConnect, config.PrepareConn = s.rotated, s.stillAlone
	return config, s, nil
}

// ascii is a character as PostgreSQL keeps it in the name of an application.
func ascii(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

// parse reads an address as pgx does, and refuses what is probably a password whose
// special characters are not encoded: a part of the password would be shown as the
// host, the database or a parameter.
func parse(databaseURL string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		// The error quotes the address, and may show a password that it could not
		// recognize. Only the words after the quotation are kept. The error is not
		// wrapped: it holds the whole address in a field.
		said := err.Error()
		said = said[strings.LastIndexByte(said, '`')+1:]
		if what, _, ok := strings.Cut(said, " ("); ok && strings.Contains(what, "failed to parse as") {
			said = what // the cause quotes a part of the address
		}
		return nil, errors.New("read the database address" + said)
	}
	if _, rest, ok := strings.Cut(databaseURL, "://"); ok {
		beforeQuery, _, _ := strings.Cut(rest, "?")
		if strings.Count(beforeQuery, "@") > 1 {
			return nil, errors.New("read the database address: it has more than one @: write an @ of the password as %40")
		}
	}
	for _, host := range hosts(&config.ConnConfig.Config) {
		if !strings.HasPrefix(host.Host, "/") && !plainHost.MatchString(host.Host) {
			return nil, errors.New("read the database address: its host has a character that no host has: " +
				"special characters of the password must be percent-encoded, such as @ as %40 and / as %2F")
		}
	}
	for name := range config.ConnConfig.RuntimeParams {
		if !plainName.MatchString(name) {
			return nil, errors.New("read the database address: it has a parameter with a strange name: " +
				"special characters of the password must be percent-encoded, such as ? as %3F and & as %26")
		}
	}
	return config, nil
}

var (
	plainHost = regexp.MustCompile(`^[\p{L}\p{N}._:%-]+$`)
	plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
)

// hosts are the hosts of an address, each once. pgx has a host twice if it may be
// reached with TLS or without.
func hosts(c *pgconn.Config) []pgconn.FallbackConfig {
	all := []pgconn.FallbackConfig{{Host: c.Host, Port: c.Port}}
	for _, f := range c.Fallbacks {
		if h := (pgconn.FallbackConfig{Host: f.Host, Port: f.Port}); !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}

// Address is the database address without user and password, for logs and
// messages.
func Address(databaseURL string) string {
	config, err := parse(databaseURL)
	if err != nil {
		return "(unreadable address)"
	}
	var names []string
	for _, h := range hosts(&config.ConnConfig.Config) {
		names = append(names, fmt.Sprintf("%s:%d", h.Host, h.Port))
	}
	return strings.Join(names, ",") + "/" + config.ConnConfig.Database
}
