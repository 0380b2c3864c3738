package extract

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"unicode"
)

// fileSuffix ends the name of a variable that names a secret's file.
const fileSuffix = "_FILE"

// A Secret comes from an environment variable, or from the file that the
// variable X_FILE names. A file is read at each use: it may be replaced while
// the process runs. However a Secret is printed, it shows where it comes from
// and not what it is.
type Secret struct {
	name string // of the variable, or what an operator would know it by
	// A function, for what prints a Secret in a field that is not exported asks
	// none of its methods. nil where there is no secret.
	read func() (string, error)
}

// SecretFrom is the secret of this variable, of which the file counts only where
// the variable itself is empty.
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

// SecretIn is the secret in a file, by the name that an operator knows it by.
func SecretIn(name, file string) Secret {
	return Secret{name: name, read: func() (string, error) { return readSecret(file) }}
}

// FixedSecret is one that never changes.
func FixedSecret(name, value string) Secret {
	if value == "" {
		return Secret{name: name}
	}
	return Secret{name: name, read: func() (string, error) { return value, nil }}
}

func readSecret(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	value := strings.TrimSpace(string(content))
	if value == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return value, nil
}

// Given reports whether there is one at all.
func (s Secret) Given() bool { return s.read != nil }

// Name is the variable that it comes from, for errors.
func (s Secret) Name() string { return s.name }

// Read is what the secret is now; empty where none is given. An empty file is an
// error: it is being written, or was never filled.
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

// ReadWord is Read for what goes into a header, where nothing but printable
// characters without a space may stand.
func (s Secret) ReadWord() (string, error) {
	value, err := s.Read()
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "", fmt.Errorf("%s has a space, a line break or a character beyond ASCII in it", s.name)
	}
	return value, nil
}

// Format prints the name alone, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(%s)", s.name) }

// LogValue is the name alone.
func (s Secret) LogValue() slog.Value { return slog.StringValue("(" + s.name + ")") }

// MarshalText is the name alone.
func (s Secret) MarshalText() ([]byte, error) { return []byte("(" + s.name + ")"), nil }
