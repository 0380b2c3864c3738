// Package settings makes the settings of a command from its flags, the
// environment and the configuration file. It reports all mistakes at once, each
// with its place. A flag wins over the environment, the environment over the
// file, and in the file a source over the top level. An empty variable counts as
// not set.
//
//	settings.go      the result: plain values, and errors of usage
//	flags.go         flags that commands share
//	credentials.go   secrets that sources sign in with
//	mappers.go       the types of flags
//	times.go         durations, hours and times
//	globs.go         which functions globs pick, and whether two sources share one
//	parse.go         from arguments to Settings
//	input.go         what is given where: arguments, environment, file
//	resolve.go       the values of one source, by precedence
//	checkfile.go     mistakes in single keys of the file
//	checksource.go   mistakes of a source as a whole, and of several together
//	checkenv.go      mistakes in the environment
//	origin.go        where each value comes from
//	print.go         --print-config
package settings

import (
	"fmt"
	"strings"

	"archiver/internal/extract"
	"archiver/internal/load/pg"
)

// Settings are what a command works with.
type Settings struct {
	File     string   // the path of the configuration file; empty for none
	Listed   int      // how many sources the file lists; 0 if it has no list
	Sources  []Source // those that the command is for; never empty
	Warnings []string // about the environment
	Database extract.Secret
	Schema   string // of the archive

	origins []Origin // of the values that belong to the process
}

// A Source is one source with all that a command needs to know about it.
type Source struct {
	Name string // empty if the configuration file has no list of sources
	SourceFlags
	DueFlags
	Schedule string // cron, five fields, UTC; empty unless the command is run
	Credentials

	origins []Origin
}

// Named adds the name of the source to an error, if the source has a name.
func (s *Source) Named(err error) error {
	if s.Name == "" || err == nil {
		return err
	}
	return fmt.Errorf("source %s: %w", s.Name, err)
}

// DatabaseURL returns the address of the database. A missing or unreadable
// address is a UsageError.
func (s *Settings) DatabaseURL() (string, error) {
	address, err := s.Database.Read()
	if err != nil {
		return "", &UsageError{err}
	}
	if address == "" {
		return "", Usagef("DATABASE_URL is not set: name the database, such as postgres://user:password@host:5432/archiver")
	}
	if _, err := pg.Config(address); err != nil {
		return "", Usagef("%s: %w", s.Database.Name(), err)
	}
	return address, nil
}

// A UsageError is a mistake in flags, environment or configuration file.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.err }

// Usage makes a mistake of an error.
func Usage(err error) error { return &UsageError{err} }

// Usagef formats a mistake.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// Errors are errors that are told one by one, each on a line of its own.
type Errors []error

func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets errors.Is and errors.As look into each error.
func (e Errors) Unwrap() []error { return e }
