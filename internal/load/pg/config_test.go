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
	for setting, want := range map[string]string{
		"timezone": "UTC", "plan_cache_mode": "force_custom_plan", "jit": "off", "application_name": "archiver",
	} {
		if got := config.ConnConfig.RuntimeParams[setting]; got != want {
			t.Errorf("%s is %q", setting, got)
		}
	}
	config, err = Config("postgres://user@db.example/archive?connect_timeout=3&application_name=mine")
	if err != nil {
		t.Fatal(err)
	}
	if got := config.ConnConfig.ConnectTimeout; got != 3*time.Second {
		t.Errorf("connects for %s", got)
	}
	if got := config.ConnConfig.RuntimeParams["application_name"]; got != "mine" {
		t.Errorf("calls itself %q", got)
	}
}
