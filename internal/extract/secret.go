package extract

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// fileSuffix is the end of the names of variables that hold a secret's file name.
const fileSuffix = "_FILE"

// A Secret is the value of an environment variable, or the content of a file
// that the variable X_FILE names. A file is read at each use, because it may be
// replaced while the process runs. Printing a Secret prints its name, never its
// value.
type Secret struct {
	name string // the variable, or another name that the operator knows
	// read is nil if there is no secret. It is a function because fmt prints
	// unexported string fields without calling the Secret's Format method.
	read func() (string, error)
}

// SecretFrom returns the secret of an environment variable. The file
// of variable_FILE is used only if the variable is empty.
func SecretFrom(variable string) Secret {
	if value := os.Getenv(variable); value != "" {
		return FixedSecret(variable, value)
	}
	file := os.Getenv(variable + fileSuffix)
	if file == "" {
		return Secret{name: variable}
	}
	return SecretIn(variable+fileSuffix, file)
}

// SecretIn returns the secret in a file. Errors show its name.
func SecretIn(name, file string) Secret {
	return Secret{name: name, read: func() (string, error) { return readSecret(file) }}
}

// FixedSecret returns a secret that never changes; an empty value is no secret.
func FixedSecret(name, value string) Secret {
	if value == "" {
		return Secret{name: name}
	}
	return Secret{name: name, read: func() (string, error) { return value, nil }}
}

func readSecret(file string) (string, error) {
	content, err := os.ReadFile(file)
	if path := (*fs.PathError)(nil); errors.As(err, &path) && !filepath.IsAbs(file) {
		return "", path.Err // the name may be the secret itself
	}
	if err != nil {
		return "", err
	}
	value := strings.TrimSpace(string(content))
	if value == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return value, nil
}

// Given reports whether there is a secret.
func (s Secret) Given() bool { return s.read != nil }

// Name returns the secret's name, for errors.
func (s Secret) Name() string { return s.name }

// Read returns the current value, or "" if there is no secret. An empty file is
// an error.
func (s Secret) Read() (string, error) {
	if s.read == nil {
		return "", nil
	}
	value, err := s.read()
	if err != nil {
		return "", fmt.Errorf("read %s: %w", s.name, err)
	}
	return value, nil
}

// ReadWord is Read for a secret that is sent in a header. A value with a space, a
// control character or a character beyond ASCII is an error.
func (s Secret) ReadWord() (string, error) {
	value, err := s.Read()
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "", fmt.Errorf("%s contains a space, a line break or a character beyond ASCII", s.name)
	}
	return value, nil
}

// Format prints the name, for any verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(%s)", s.name) }

// LogValue returns the name.
func (s Secret) LogValue() slog.Value { return slog.StringValue("(" + s.name + ")") }

// MarshalText returns the name.
func (s Secret) MarshalText() ([]byte, error) { return []byte("(" + s.name + ")"), nil }
