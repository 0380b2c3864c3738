package settings

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/load/pg"
)

// An Origin is a value as it is printed, and where it comes from.
type Origin struct {
	Key   string
	Value string // in YAML; if there is no value, a remark such as "not set"
	From  string // empty if there is no value
}

// mask is printed in place of a secret.
const mask = `"***"`

// processOrigins returns the values of the process, in the order of the help.
func (in *input) processOrigins(database extract.Secret) (origins []Origin) {
	r := sourceResolver{in, &in.file.Top}
	for _, flag := range in.flags {
		if !OfSource(flag) {
			origins = append(origins, r.origin(flag))
		}
	}
	o := Origin{Key: databaseKey}
	switch address, err := database.Read(); {
	case err != nil:
		o.Value = err.Error()
	case address == "":
		o.Value = "not set"
	default:
		o.Value, o.From = plain(pg.Address(address)), "environment "+database.Name()
		if !extract.SecretFrom(databaseVariable).Given() {
			o.From = r.secretOrigin(databaseKey, database)
		}
	}
	return append(origins, o)
}

// sourceOrigins returns the values of a source, in the order of the help.
func (in *input) sourceOrigins(p *parsedSource) (origins []Origin) {
	if p.Name != "" {
		name, _ := p.resolver.section.Get("name")
		origins = append(origins, Origin{"name", plain(p.Name), name.At.String()})
	}
	for _, flag := range in.flags {
		if only := flag.Tag.Get("of"); OfSource(flag) && (only == "" || only == p.Provider) {
			origins = append(origins, p.resolver.origin(flag))
		}
	}
	for _, kind := range SecretKinds {
		if secret := kind.in(&p.Credentials); kind.Variables[p.Provider] != "" && secret.Given() {
			origins = append(origins, Origin{kind.Key, mask, p.resolver.secretOrigin(kind.Key, *secret)})
		}
	}
	return origins
}

// origin returns the value of a flag for a source.
func (r sourceResolver) origin(flag *kong.Flag) Origin {
	o := Origin{Key: flag.Name}
	if text, from := r.in.given(flag); from != "" {
		o.Value, o.From = valueText(flag, text), "environment "+from
		if strings.HasPrefix(from, "--") {
			o.From = "flag " + from
		}
		return o
	}
	if s, ok := r.setting(flag.Name); ok {
		o.Value, o.From = valueText(flag, settingText(s)), s.At.String()
		return o
	}
	if flag.Name == "project-id" {
		if id, from, err := r.projectID(); err == nil && id != "" {
			o.Value, o.From = plain(id), "environment "+from.Name()
			return o
		}
	}
	text, from := r.derived(flag.Name)
	switch {
	case from != "":
		o.Value, o.From = plain(text), from
	case flag.HasDefault:
		o.Value, o.From = valueText(flag, flag.Default), "default"
	case flag.IsBool():
		o.Value, o.From = "false", "default"
	default:
		o.Value = "not set"
	}
	return o
}

// secretOrigin returns where a secret comes from.
func (r sourceResolver) secretOrigin(key string, secret extract.Secret) string {
	section := r.secretsSection()
	if key == databaseKey {
		section = r.section
	}
	if section == nil {
		return "environment " + secret.Name()
	}
	if s, ok := section.Get(key + keyOfFile); ok {
		return "file " + r.in.inFolder(settingText(s)) + ", " + s.At.String()
	}
	s, _ := section.Get(key + keyOfVariable)
	return "environment " + secret.Name() + ", " + s.At.String()
}

// valueText writes a flag's value as YAML.
func valueText(flag *kong.Flag, text string) string {
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

// withoutPassword replaces the password in a URL by xxxxx. A URL of an API must
// not have a password, but it is printed before it is refused.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return "not a URL"
	}
	return u.Redacted()
}

// word matches a text that needs no quotes in YAML.
var word = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./:@+-]*[A-Za-z0-9_/]$|^[A-Za-z0-9]$`)

// plain writes a text as YAML, in quotes if YAML would take it for another type.
func plain(text string) string {
	if word.MatchString(text) && !slices.Contains([]string{"null", "yes", "no", "on", "off"}, strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}
