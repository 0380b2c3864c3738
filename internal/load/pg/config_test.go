package pg

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// However an address is written, and however wrongly, no part of its password
// is ever shown. Each part is a word of its own, to be found in what is said.
func TestAddressHidesPasswords(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"URL":                      "postgres://user:sesame@db.example:5432/archive",
		"URL, bad port":            "postgres://user:sesame@db.example:port/archive",
		"URL, bad escape":          "postgres://user:sesame%zz@db.example/archive",
		"URL, space":               "postgres://user:sesame open@db.example/archive",
		"URL, slash":               "postgres://user:sesame/sesame@db.example/archive",
		"URL, hash":                "postgres://user:sesame#sesame@db.example/archive",
		"URL, question mark":       "postgres://user:sesame?sesame@db.example/archive",
		"URL, at":                  "postgres://user:sesame@sesame@db.example:port/archive",
		"URL, colon":               "postgres://user:sesame:sesame@db.example:port/archive",
		"URL, control character":   "postgres://user:sesame\x01@db.example/archive",
		"URL, newline":             "postgres://user:sesame@db.example/archive\n",
		"URL, bad setting":         "postgres://user:sesame@db.example/archive?sslmode=maybe",
		"URL, bad pool setting":    "postgres://user:sesame@db.example/archive?pool_max_conns=many",
		"URL, in the query":        "postgres://db.example/archive?user=user&password=sesame&sslmode=maybe",
		"URL, two ats":             "postgres://user:a@sesame@db.example/archive",
		"URL, at and slash":        "postgres://user:a@db/sesame@db.example/archive",
		"URL, at and question":     "postgres://user:a@b?sesame@db.example/archive",
		"URL, at and ampersand":    "postgres://user:a@b?c=d&sesame@db.example/archive=1",
		"URL, backtick":            "postgres://user:se`sesame@db.example:port/archive",
		"URL, another scheme":      "mysql://user:sesame@db.example/archive",
		"URL, no scheme":           "user:sesame@db.example/archive",
		"keys":                     "host=db.example user=user password=sesame dbname=archive",
		"keys, bad port":           "host=db.example password=sesame port=port",
		"keys, quoted":             "host=db.example password='sesame sesame' port=port",
		"keys, quote in it":        `host=db.example password='se\'sesame sesame' port=port`,
		"keys, escaped space":      `host=db.example password=a\ sesame port=port`,
		"keys, spaces about":       "host=db.example password = sesame port=port",
		"keys, quote not closed":   "host=db.example port=port password='sesame",
		"keys, capitals":           "host=db.example PASSWORD=sesame port=port",
		"keys, bad pool setting":   "host=db.example password=sesame pool_max_conns=many",
		"keys, of the certificate": "host=db.example sslpassword=sesame sslmode=maybe",
		"only a password":          "sesame",
	} {
		said := Address(address)
		if _, err := Config(address); err != nil {
			_, opening := Open(t.Context(), address, 1, slog.New(slog.DiscardHandler))
			said = fmt.Sprintf("%s\n%+v\n%+v", said, err, opening)
		}
		if strings.Contains(said, "sesame") {
			t.Errorf("%s: the password is shown:\n%s", name, said)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://user:sesame@db.example:6543/archive":           "db.example:6543/archive",
		"postgresql://user:a%2Fb@db.example/archive?sslmode=allow": "db.example:5432/archive",
		"host=db.example port=6543 password=sesame dbname=archive": "db.example:6543/archive",
		"postgres://user@a.example,b.example:1234/archive":         "a.example:5432,b.example:1234/archive",
		"postgres://user@[::1]:6543/archive":                       "::1:6543/archive",
		"postgres://user:sesame@db.example:port/archive":           "(unreadable address)",
	} {
		if got := Address(address); got != want {
			t.Errorf("Address(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	config, err := Config("postgres://user@db.example/archive")
	if err != nil {
		t.Fatal(err)
	}
	if config.ConnConfig.ConnectTimeout != connectTimeout {
		t.Errorf("connects for %s", config.ConnConfig.ConnectTimeout)
	}
	if sent := config.ConnConfig.RuntimeParams; len(sent) != 0 {
		t.Errorf("sends the start-up parameters %v", sent)
	}
	config, s, err := configure("postgres://user@db.example/archive?connect_timeout=3&application_name=mine&search_path=x&client_encoding=LATIN1&options=-c%20a%3Db"+
		"&statement_cache_capacity=0&default_query_exec_mode=exec&pool_min_conns=9&pool_max_conn_lifetime=1ms&pool_max_conn_idle_time=1ms&pool_health_check_period=1ms", nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Config("postgres://user@db.example/archive")
	if err != nil {
		t.Fatal(err)
	}
	if config.ConnConfig.StatementCacheCapacity != plain.ConnConfig.StatementCacheCapacity || config.ConnConfig.DefaultQueryExecMode != plain.ConnConfig.DefaultQueryExecMode ||
		config.MinConns != 0 || config.MaxConnLifetime != plain.MaxConnLifetime || config.MaxConnIdleTime != plain.MaxConnIdleTime || config.HealthCheckPeriod != plain.HealthCheckPeriod {
		t.Errorf("the address changes the pool or the cache of statements: %+v", config)
	}
	if got := config.ConnConfig.ConnectTimeout; got != 3*time.Second {
		t.Errorf("connects for %s", got)
	}
	if s.application != "mine" || strings.Join(s.unused, " ") != "client_encoding search_path" {
		t.Errorf("calls itself %q, and does not use %v", s.application, s.unused)
	}
	if sent := config.ConnConfig.RuntimeParams; len(sent) != 1 || sent["options"] != "-c a=b" {
		t.Errorf("sends the start-up parameters %v", sent)
	}
}
