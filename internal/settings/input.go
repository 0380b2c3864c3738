package settings

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/settings/configfile"
)

// An input is what arguments, environment and configuration file say. It collects
// the mistakes in them, so that all are told at once.
type input struct {
	args    []string
	line    CommandLine
	trace   *kong.Context // of the arguments alone
	command *kong.Node    // nil if the arguments name none
	model   *kong.Application
	flags   []*kong.Flag          // that a configuration file may have, in the order of the help
	keys    map[string]*kong.Flag // the same, by name

	file         *configfile.File // empty without a file
	invalid      map[configfile.Place]bool
	fileMistakes []error
	otherErrors  Errors
}

const (
	// settingsCommand is the command that has all flags that a file may have.
	settingsCommand = "run"

	// checkCommand is the command that checks the values of all flags.
	checkCommand = "check"
)

func newInput(args []string, line CommandLine) (*input, error) {
	parser, err := line.New()
	if err != nil {
		return nil, err
	}
	trace, err := kong.Trace(parser, args)
	if err != nil {
		return nil, &UsageError{err}
	}
	in := &input{
		args: args, line: line, trace: trace, command: trace.Selected(), model: parser.Model, flags: FileFlags(parser.Model),
		keys: make(map[string]*kong.Flag), invalid: make(map[configfile.Place]bool),
		file: new(configfile.File),
	}
	for _, flag := range in.flags {
		in.keys[flag.Name] = flag
	}
	return in, nil
}

// FileFlags returns the flags that a configuration file may have as keys, in the
// order of the help.
func FileFlags(model *kong.Application) (flags []*kong.Flag) {
	for _, node := range model.Children {
		for _, flag := range node.Flags {
			if node.Name == settingsCommand && flag.Name != "source" {
				flags = append(flags, flag)
			}
		}
	}
	return flags
}

// OfSource reports whether each source may have its own value of a flag.
func OfSource(flag *kong.Flag) bool { return flag.Group != nil && flag.Group.Key == sourceGroup }

// wrong adds a mistake that is not in the file.
func (in *input) wrong(format string, args ...any) {
	in.otherErrors = append(in.otherErrors, Usagef(format, args...))
}

// mistake adds a mistake in the file.
func (in *input) mistake(at configfile.Place, format string, args ...any) {
	in.fileMistakes = append(in.fileMistakes, at.Mistakef(format, args...))
}

// mistakes returns all mistakes, those in the file in the order of their places.
// It returns nil if there are none.
func (in *input) mistakes(s *Settings) error {
	slices.SortStableFunc(in.fileMistakes, func(a, b error) int {
		var x, y *configfile.Mistake
		if !errors.As(a, &x) || !errors.As(b, &y) {
			return 0
		}
		return cmp.Or(cmp.Compare(x.At.Line, y.At.Line), cmp.Compare(x.At.Column, y.At.Column))
	})
	var all Errors
	for _, err := range in.fileMistakes {
		all = append(all, &UsageError{err})
	}
	if all = append(all, in.otherErrors...); len(all) == 0 {
		return nil
	}
	// Without other mistakes, the command itself tells that it needs a database.
	if in.has("no-migrate") && !in.has("archived") {
		if _, err := s.DatabaseURL(); err != nil {
			all = append(all, err)
		}
	}
	return all
}

// argument returns the value that the arguments give a flag.
func (in *input) argument(name string) (value any, given bool) {
	for _, path := range in.trace.Path {
		if path.Flag != nil && path.Flag.Name == name {
			return in.trace.Value(path).Interface(), true
		}
	}
	return nil, false
}

// checkEmpty finds arguments that give a flag an empty value: most likely a variable that
// is not set. It would stand for all functions, or for all sources. --listen takes it for none.
func (in *input) checkEmpty() {
	for _, p := range in.trace.Path {
		if p.Flag == nil || p.Flag.Name == "listen" || p.Flag.Name == "config" {
			continue
		}
		value := in.trace.Value(p)
		if kind := value.Kind(); (kind == reflect.String || kind == reflect.Slice) && value.Len() == 0 {
			in.wrong("--%s is empty: give it a value, or leave it out", p.Flag.Name)
		}
	}
}

// given returns the text that the arguments or the environment give a flag, and
// which of them: --flag or a variable. from is empty if neither does.
func (in *input) given(flag *kong.Flag) (text, from string) {
	value, ok := in.argument(flag.Name)
	if !ok {
		name := variable(flag)
		return os.Getenv(name), name
	}
	from = "--" + flag.Name
	switch v := value.(type) {
	case time.Duration:
		return DurationText(v), from
	case []string:
		return kong.JoinEscaped(v, ','), from
	}
	return fmt.Sprint(value), from
}

// variable returns the name of the environment variable that gives a flag its
// value, empty if none does.
func variable(flag *kong.Flag) string {
	for _, name := range flag.Envs {
		if isSet(flag, name) {
			return name
		}
	}
	return ""
}

// isSet reports whether a variable of a flag is set. An empty variable counts as
// not set, except for --listen, where it means that nothing is served.
func isSet(flag *kong.Flag, name string) bool {
	value, ok := os.LookupEnv(name)
	return ok && (value != "" || flag.Name == "listen")
}

// has reports whether the command has a flag of this name.
func (in *input) has(name string) bool {
	return slices.ContainsFunc(in.command.Flags, func(f *kong.Flag) bool { return f.Name == name })
}

// asksForHelp reports whether the arguments ask for the help or the version.
func (in *input) asksForHelp() bool {
	_, help := in.argument("help")
	_, version := in.argument("version")
	return help || version
}

// readsSources reports whether the command reads sources. query --archived reads
// the archive alone.
func (in *input) readsSources() bool {
	archived, given := in.argument("archived")
	if !given && in.has("archived") {
		archived, _ = strconv.ParseBool(os.Getenv("ARCHIVER_ARCHIVED"))
	}
	return in.has("source") && archived != true
}

// takesFile reports whether the command uses a configuration file.
func (in *input) takesFile() bool {
	top := in.command
	for top.Parent != nil && top.Parent.Parent != nil {
		top = top.Parent
	}
	return top.Name != "simulate" && top.Name != "demo"
}

// readFile reads the file that --config or ARCHIVER_CONFIG names, and checks each
// key in it.
func (in *input) readFile() {
	path, given := in.argument("config")
	if !in.takesFile() {
		if given {
			in.wrong("--config is not for %s, which has no sources", in.command.Name)
		}
		return
	}
	if !given {
		path = os.Getenv("ARCHIVER_CONFIG")
	}
	if path == "" {
		if given {
			in.wrong("--config names no file")
		}
		return
	}
	file, mistakes := configfile.Read(path.(string))
	if in.fileMistakes = mistakes; file != nil {
		in.file = file
		in.checkFile()
	}
}

// inFolder returns a path that the configuration file names. A relative path
// begins at the folder of the file.
func (in *input) inFolder(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(in.file.Path), path)
}

// secretIn returns the secret that a section of the file names.
func (in *input) secretIn(section *configfile.Section, key string) (extract.Secret, bool) {
	if s, ok := section.Get(key + keyOfFile); ok && !s.List {
		path := in.inFolder(s.Values[0].Text)
		return extract.SecretIn(key+keyOfFile+" "+path, path), true
	}
	if s, ok := section.Get(key + keyOfVariable); ok && !s.List {
		return extract.SecretFrom(s.Values[0].Text), true
	}
	return extract.Secret{}, false
}

// database returns the address of the database, from the environment or else from
// the file.
func (in *input) database() extract.Secret {
	secret := extract.SecretFrom(databaseVariable)
	if named, ok := in.secretIn(&in.file.Top, databaseKey); ok && !secret.Given() {
		return named
	}
	return secret
}
