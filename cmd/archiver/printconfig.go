package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/load/pg"
	"archiver/internal/terminal"
)

// masked stands in place of a secret that is given.
const masked = `"***"`

// printConfig writes what is in force, and behind each value where it comes
// from: YAML, with what is not set as comments. Secrets are masked.
func (in *inForce) printConfig(out io.Writer) error {
	p := &configPrinter{inForce: in}
	first := in.sources[0]
	for _, flag := range in.settings() {
		if !ofSourceFlag(flag) {
			p.flag("", first, flag)
		}
	}
	p.printDatabase()
	if first.name == "" {
		p.source("", first)
	} else {
		p.comment("sources:")
		for _, of := range in.sources {
			name, _ := of.own.Get("name")
			p.line("  - ", "name", plain(of.name), name.At.String())
			p.source("    ", of)
		}
	}
	return p.write(out)
}

// settings are the flags that a file may have, in the order of the command's help.
func (c *configuring) settings() []*kong.Flag {
	var flags []*kong.Flag
	for _, node := range c.model.Children {
		for _, flag := range node.Flags {
			if node.Name == settingsNode && c.keys[flag.Name] == flag {
				flags = append(flags, flag)
			}
		}
	}
	return flags
}

// A configPrinter collects a line a setting.
type configPrinter struct {
	*inForce
	lines []configLine
}

// A configLine is a setting and where it comes from.
type configLine struct{ setting, from string }

// widest bounds how far to the right the places stand in line.
const widest = 60

// write writes the lines, with the places in one column.
func (p *configPrinter) write(out io.Writer) error {
	width := 0
	for _, l := range p.lines {
		if n := utf8.RuneCountInString(l.setting); l.from != "" && n <= widest {
			width = max(width, n)
		}
	}
	var b strings.Builder
	for _, l := range p.lines {
		if l.from != "" {
			l.setting = fmt.Sprintf("%-*s  # %s", width, l.setting, terminal.Line(l.from))
		}
		b.WriteString(l.setting + "\n")
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}

func (p *configPrinter) line(indent, key, value, from string) {
	p.lines = append(p.lines, configLine{indent + key + ": " + value, from})
}

func (p *configPrinter) comment(text string) { p.lines = append(p.lines, configLine{setting: text}) }

func (p *configPrinter) unset(indent, key string) { p.comment(indent + "# " + key + ": not set") }

// source writes one.
func (p *configPrinter) source(indent string, of *configured) {
	provider := of.flags.Provider
	for _, flag := range p.settings() {
		if only := flag.Tag.Get("of"); ofSourceFlag(flag) && (only == "" || only == provider) {
			p.flag(indent, of, flag)
		}
	}
	given := make(map[string]bool)
	for _, kind := range secretKinds {
		if kind.variables[provider] == "" {
			continue
		}
		secret := of.flags.secret(kind.key)
		if given[kind.key] = secret.Given(); secret.Given() {
			p.line(indent, kind.key, masked, of.secretFrom(kind.key, secret))
		}
	}
	p.comment(indent + "# signs in " + signsIn(&of.flags.sourceFlags, given))
}

// flag writes the value that a flag has for a source.
func (p *configPrinter) flag(indent string, of *configured, flag *kong.Flag) {
	if given, ok := p.argument(flag.Name); ok {
		p.line(indent, flag.Name, written(flag, given), "flag --"+flag.Name)
		return
	}
	if name := variable(flag); name != "" {
		p.line(indent, flag.Name, quoted(flag, os.Getenv(name)), "environment "+name)
		return
	}
	if s, ok := of.setting(flag.Name); ok {
		p.line(indent, flag.Name, quoted(flag, s.text()), s.At.String())
		return
	}
	if flag.Name == "project-id" && of.flags.Own == nil {
		s := extract.SecretFrom("HUAWEICLOUD_SDK_PROJECT_ID")
		if id, err := s.Read(); err == nil && id != "" {
			p.line(indent, flag.Name, plain(id), "environment "+s.Name())
			return
		}
	}
	switch {
	case flag.HasDefault:
		p.line(indent, flag.Name, quoted(flag, flag.Default), "default")
	case flag.IsBool():
		p.line(indent, flag.Name, "false", "default")
	default:
		p.unset(indent, flag.Name)
	}
}

// printDatabase writes where the archive is, without user and password.
func (p *configPrinter) printDatabase() {
	address, err := p.database.Read()
	switch {
	case err != nil:
		p.comment("# " + databaseURL + ": " + terminal.Line(err.Error()))
	case address == "":
		p.unset("", databaseURL)
	default:
		from := "environment " + p.database.Name()
		if !extract.SecretFrom("DATABASE_URL").Given() {
			from = layered{p.configuring, &p.file.Top}.secretFrom(databaseURL, p.database)
		}
		p.line("", databaseURL, plain(pg.Address(address)), from)
	}
}

// secretFrom says where a secret comes from.
func (l layered) secretFrom(key string, secret extract.Secret) string {
	if l.file != nil {
		for _, ending := range []string{fromFile, fromVariable} {
			if s, ok := l.setting(key + ending); ok && (key == databaseURL || l.secrets() != nil) {
				if ending == fromFile {
					return "file " + l.beside(s.text()) + ", " + s.At.String()
				}
				return "environment " + secret.Name() + ", " + s.At.String()
			}
		}
	}
	return "environment " + secret.Name()
}

// signsIn says which of the ways to sign in is taken.
func signsIn(f *sourceFlags, given map[string]bool) string {
	switch {
	case given[authToken]:
		return "with the token"
	case given[password], f.Provider == functiongraph.Provider && f.Username != "":
		return "as the user"
	case given[accessKey]:
		return "with the keys"
	case f.Provider != functiongraph.Provider:
		return "with what the SDK finds in its profile files, or the cloud host's metadata service has"
	}
	if file := functiongraph.ProfileFile(); file != "" {
		return "with the SDK's profile " + file
	}
	return "with what the cloud host's metadata service has"
}

// written is a value of the command line, as one gives it.
func written(flag *kong.Flag, value any) string {
	switch v := value.(type) {
	case time.Duration:
		return duration(v)
	case []string:
		return quoted(flag, kong.JoinEscaped(v, ','))
	}
	return quoted(flag, fmt.Sprint(value))
}

// duration is one without minutes or seconds of none.
func duration(d time.Duration) string {
	text := inDays(d)
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// quoted is a text as YAML has a flag's value.
func quoted(flag *kong.Flag, text string) string {
	if flag.Name == "endpoint" || flag.Name == "iam-endpoint" {
		return plain(withoutPassword(text))
	}
	if !flag.IsSlice() {
		return plain(text)
	}
	var elements []string
	for _, element := range kong.SplitEscaped(text, ',') {
		elements = append(elements, strconv.Quote(element))
	}
	return "[" + strings.Join(elements, ", ") + "]"
}

// withoutPassword is a URL with xxxxx in place of a password, which one of an
// API must not have: what is in force is printed before that is refused.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "not a URL"
	}
	return u.Redacted()
}

// word is what needs no quotes in YAML.
var word = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./:@+-]*[A-Za-z0-9_/]$|^[A-Za-z0-9]$`)

// plain is a text, in quotes where YAML would take it for something else.
func plain(text string) string {
	if word.MatchString(text) && !slices.Contains([]string{"null", "yes", "no", "on", "off"}, strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}
