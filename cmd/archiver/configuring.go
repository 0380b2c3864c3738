package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/settings/configfile"
)

// A configuring makes of arguments, environment and configuration file what is
// in force. It collects all that is wrong with them, to be told at once.
//
// A flag wins over the environment, the environment over the file, and in the
// file what a source says over what the top level says for all.
type configuring struct {
	args    []string
	s       streams
	trace   *kong.Context // of the arguments alone
	command *kong.Node
	model   *kong.Application
	keys    map[string]*kong.Flag // that a file may have, by their names

	file    *configfile.File // nil without one
	unfit   map[configfile.Place]bool
	inFile  []error // what is wrong in the file
	besides several // what else is
}

// settingsNode is the command with all the flags that a file may have.
const settingsNode = "run"

func newConfiguring(args []string, s streams) (*configuring, error) {
	parser, err := newParser(new(commands), s)
	if err != nil {
		return nil, err
	}
	trace, err := kong.Trace(parser, args)
	if err != nil {
		return nil, &usageError{err}
	}
	c := &configuring{
		args: args, s: s, trace: trace, command: trace.Selected(), model: parser.Model,
		keys: make(map[string]*kong.Flag), unfit: make(map[configfile.Place]bool),
	}
	for _, node := range parser.Model.Children {
		for _, flag := range node.Flags {
			if node.Name == settingsNode && flag.Name != "source" {
				c.keys[flag.Name] = flag
			}
		}
	}
	return c, nil
}

// wrong notes a mistake that is not in the file.
func (c *configuring) wrong(format string, args ...any) {
	c.besides = append(c.besides, usagef(format, args...))
}

// mistake notes one that is.
func (c *configuring) mistake(at configfile.Place, format string, args ...any) {
	c.inFile = append(c.inFile, at.Mistakef(format, args...))
}

// mostMistakes bounds what is told at once.
const mostMistakes = 50

// mistakes are all that were noted, those in the file by their places.
func (c *configuring) mistakes(in *inForce) error {
	slices.SortStableFunc(c.inFile, func(a, b error) int {
		var x, y *configfile.Mistake
		if !errors.As(a, &x) || !errors.As(b, &y) {
			return 0
		}
		return cmp.Or(cmp.Compare(x.At.Line, y.At.Line), cmp.Compare(x.At.Column, y.At.Column))
	})
	var all several
	for _, err := range c.inFile {
		all = append(all, &usageError{err})
	}
	if all = append(all, c.besides...); len(all) == 0 {
		return nil
	}
	if c.has("no-migrate") && !c.has("archived") { // alone, it would be told in its turn
		if _, err := in.databaseURL(); err != nil {
			all = append(all, err)
		}
	}
	if more := len(all) - mostMistakes; more > 0 {
		all = append(all[:mostMistakes], usagef("… and %d more mistakes", more))
	}
	return all
}

// argument is the value that the arguments have for a flag.
func (c *configuring) argument(name string) (value any, given bool) {
	for _, path := range c.trace.Path {
		if path.Flag != nil && path.Flag.Name == name {
			return c.trace.Value(path).Interface(), true
		}
	}
	return nil, false
}

// variable is the one in the environment that has a flag's value, empty where
// none has.
func variable(flag *kong.Flag) string {
	for _, name := range flag.Envs {
		if isSet(flag, name) {
			return name
		}
	}
	return ""
}

// isSet reports whether a variable of a flag is set. One that is empty is not,
// but for that of the address, where it means none.
func isSet(flag *kong.Flag, name string) bool {
	value, ok := os.LookupEnv(name)
	return ok && (value != "" || flag.Name == "listen")
}

// has reports whether the command has a flag of this name.
func (c *configuring) has(name string) bool {
	return slices.ContainsFunc(c.command.Flags, func(f *kong.Flag) bool { return f.Name == name })
}

// reads reports whether the command reads sources: query need not.
func (c *configuring) reads() bool {
	archived, given := c.argument("archived")
	if !given && c.has("archived") {
		archived, _ = strconv.ParseBool(os.Getenv("ARCHIVER_ARCHIVED"))
	}
	return c.has("source") && archived != true
}

// configures reports whether the command, or what it belongs to, works on an
// archive, and so by the file.
func (c *configuring) configures() bool {
	top := c.command
	for top.Parent != nil && top.Parent.Parent != nil {
		top = top.Parent
	}
	return top.Name != "simulate" && top.Name != "demo"
}

// readFile reads the file that --config or ARCHIVER_CONFIG names, and checks it.
func (c *configuring) readFile() {
	path, given := c.argument("config")
	if !c.configures() {
		if given {
			c.wrong("--config is not for %s, which has no sources", c.command.Name)
		}
		return
	}
	if !given {
		path = os.Getenv("ARCHIVER_CONFIG")
	}
	if path == "" {
		if given {
			c.wrong("--config names no file")
		}
		return
	}
	c.file, c.inFile = configfile.Read(path.(string))
	if c.file == nil {
		return
	}
	c.checkSection(&c.file.Top, false)
	names := make(map[string]configfile.Place)
	for i := range c.file.Sources {
		s := &c.file.Sources[i]
		c.checkSection(s, true)
		c.checkName(s, names)
	}
}

// picked are the sources that the command is for; the one of flags and
// environment alone where there is no list of sources.
func (c *configuring) picked() []*configfile.Section {
	if !c.reads() {
		return []*configfile.Section{{}}
	}
	names, flag := c.sourceNames()
	switch {
	case c.file == nil || !c.file.Several:
		if len(names) > 0 && (c.file != nil || len(c.inFile) == 0) {
			c.wrong("%s picks sources of a configuration file, and there is none that lists them (--config)", flag)
			return nil
		}
		return []*configfile.Section{{}}
	case len(names) == 0:
		var all []*configfile.Section
		for i := range c.file.Sources {
			all = append(all, &c.file.Sources[i])
		}
		return all
	}
	var picked []*configfile.Section
	var known []string
	for i := range c.file.Sources {
		s := &c.file.Sources[i]
		if name := nameOf(s); sourceName.MatchString(name) && !slices.Contains(known, name) {
			known = append(known, name)
		}
		if slices.Contains(names, nameOf(s)) {
			picked = append(picked, s)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			c.wrong("%s: there is no source %q in %s%s It has %s", flag, name, c.file.Path,
				cmp.Or(configfile.DidYouMean(name, known), "."), strings.Join(known, ", "))
		}
	}
	return picked
}

// sourceNames are those that --source or its variable names.
func (c *configuring) sourceNames() (names []string, flag string) {
	if given, ok := c.argument("source"); ok {
		return given.([]string), "--source"
	}
	return kong.SplitEscaped(os.Getenv("ARCHIVER_SOURCE"), ','), "ARCHIVER_SOURCE"
}

// nameOf is the name of a source, empty where it has none that could be one.
func nameOf(s *configfile.Section) string {
	if name, ok := s.Get("name"); ok && !name.List {
		return name.Values[0].Text
	}
	return ""
}

// A layered resolver has what a source of the file says, and what the file says
// for all sources, where neither flag nor environment says anything.
type layered struct {
	*configuring
	own *configfile.Section
}

// Validate is for the command line: what is wrong was told already.
func (l layered) Validate(*kong.Application) error { return nil }

// Resolve is asked for the flags that were not given.
func (l layered) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if variable(flag) != "" {
		return nil, nil // as the command line has it already
	}
	setting, ok := l.setting(flag.Name)
	if !ok || l.keys[flag.Name] == nil || l.unfit[setting.At] {
		return nil, nil
	}
	return setting.text(), nil
}

// setting is the file's for this source.
func (l layered) setting(key string) (s located, ok bool) {
	if l.file == nil {
		return s, false
	}
	if own, ok := l.own.Get(key); ok {
		return located{own}, true
	}
	top, ok := l.file.Top.Get(key)
	return located{top}, ok
}

// A located setting is one of the file.
type located struct{ configfile.Setting }

// text is the value as one gives it in a flag.
func (s located) text() string {
	var texts []string
	for _, v := range s.Values {
		texts = append(texts, v.Text)
	}
	if !s.List {
		return texts[0]
	}
	return kong.JoinEscaped(texts, ',')
}

// own are the secrets that the file names for a source: its own or, where it
// names none, those that the top level names for all.
func (l layered) secrets() credentials {
	if l.file == nil {
		return nil
	}
	for _, section := range []*configfile.Section{l.own, &l.file.Top} {
		found := make(credentials)
		for _, kind := range secretKinds {
			if s, ok := l.secretIn(section, kind.key); ok {
				found[kind.key] = s
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// secretIn is the secret that a section names.
func (c *configuring) secretIn(section *configfile.Section, key string) (extract.Secret, bool) {
	if s, ok := section.Get(key + fromFile); ok && !s.List {
		path := c.beside(s.Values[0].Text)
		return extract.SecretIn(key+fromFile+" "+path, path), true
	}
	if s, ok := section.Get(key + fromVariable); ok && !s.List {
		return extract.SecretFrom(s.Values[0].Text), true
	}
	return extract.Secret{}, false
}

// beside is a path that the file names: from the file's own folder on.
func (c *configuring) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.file.Path), path)
}

// database is where the archive is: by the environment or, where that says
// nothing, by the file.
func (c *configuring) database() extract.Secret {
	secret := extract.SecretFrom("DATABASE_URL")
	if secret.Given() || c.file == nil {
		return secret
	}
	if named, ok := c.secretIn(&c.file.Top, databaseURL); ok {
		return named
	}
	return secret
}
