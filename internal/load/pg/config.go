package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
)

// connectTimeout is how long a server may take to answer a connection attempt,
// unless the address says otherwise.
const connectTimeout = 10 * time.Second

// Config reads a database address. Its errors do not show the password.
func Config(databaseURL string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		// The error quotes the address, and may show a password that it could not
		// recognize. Only the words after the quotation are kept. The error is not
		// wrapped: it holds the whole address in a field.
		said := err.Error()
		said = said[strings.LastIndexByte(said, '`')+1:]
		return nil, errors.New("read the database address" + said)
	}
	params := config.ConnConfig.RuntimeParams
	// A plan must know the days of a query to leave out the other partitions. A
	// generic plan would lock every partition.
	params["plan_cache_mode"] = "force_custom_plan"
	// No statement runs long enough for compilation to pay.
	params["jit"] = "off"
	params["timezone"] = "UTC"
	// The server ends the session of a process that stops within a commit once
	// the claims of that process have run out: its locks end then.
	life := archive.ClaimLife.Milliseconds()
	params["idle_in_transaction_session_timeout"] = fmt.Sprint(life)
	// The same if the machine of the process is gone, also within a COPY, where
	// the session is not idle. A Unix socket ignores these settings.
	params["tcp_keepalives_idle"] = "15"
	params["tcp_keepalives_interval"] = "10"
	params["tcp_keepalives_count"] = "3"
	params["tcp_user_timeout"] = fmt.Sprint(life)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if params["application_name"] == "" {
		params["application_name"] = "archiver"
	}
	return config, nil
}

// Address is the database address without user and password, for logs and
// messages.
func Address(databaseURL string) string {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return "(unreadable address)"
	}
	return fmt.Sprintf("%s:%d/%s", config.Host, config.Port, config.Database)
}

// An Option changes how Open connects to the database.
type Option func(*pgxpool.Config)

// Rotated reads the address again for every new connection and uses its user
// and password, so that credentials can be replaced while the process runs. If
// the address cannot be read, the last user and password are used.
func Rotated(address func() (string, error)) Option {
	return func(config *pgxpool.Config) {
		config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			now, err := address()
			if err != nil {
				return nil //nolint:nilerr // the last password may still be right; if not, the server refuses it
			}
			if read, err := pgx.ParseConfig(now); err == nil {
				c.User, c.Password = read.User, read.Password
			}
			return nil
		}
	}
}

// ReadOnly makes the database refuse every write of these connections.
func ReadOnly() Option {
	return func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	}
}
