package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// An Option changes how the database is connected to.
type Option func(*pgxpool.Config)

// Rotated has every new connection ask for the address again: the user and the
// password of it count, so that those that are replaced while the process runs
// are picked up. Where there is none to be had, or none that can be read, the
// ones of before are used.
func Rotated(address func() (string, error)) Option {
	return func(config *pgxpool.Config) {
		config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			now, err := address()
			if err != nil {
				return nil //nolint:nilerr // the password of before may be good, and is refused where it is not
			}
			if read, err := pgx.ParseConfig(now); err == nil {
				c.User, c.Password = read.User, read.Password
			}
			return nil
		}
	}
}

// ReadOnly has the database refuse every write of these connections.
func ReadOnly() Option {
	return func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	}
}

// configured reads a database address and applies the options.
func configured(databaseURL string, options []Option) (*pgxpool.Config, error) {
	config, err := Config(databaseURL)
	if err != nil {
		return nil, err
	}
	for _, apply := range options {
		apply(config)
	}
	return config, nil
}
