package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"archiver/internal/extract"
	"archiver/internal/settings/configfile"
)

// checkAccounts refuses flags and variables that say which account is read,
// where several sources say it of themselves: they would all become the same.
// Everything else that is given holds for every source.
func (c *configuring) checkAccounts(picked []*configfile.Section) (ok bool) {
	if len(picked) < 2 {
		return true
	}
	before := len(c.besides)
	for _, flag := range c.command.Flags {
		if !flag.Tag.Has("account") {
			continue
		}
		from := variable(flag)
		value := os.Getenv(from)
		if given, ok := c.argument(flag.Name); ok {
			from, value = "--"+flag.Name, fmt.Sprint(given)
		}
		if from == "" {
			continue
		}
		only := flag.Tag.Get("of")
		var meant []layered
		for _, own := range picked {
			if l := (layered{c, own}); only == "" || only == l.provider() {
				meant = append(meant, l)
			}
		}
		for _, l := range meant {
			setting, ok := l.setting(flag.Name)
			if !ok && flag.Name == "project-id" {
				setting, ok = l.setting("project")
			}
			if len(meant) > 1 && ok && (setting.Key != flag.Name || setting.text() != value) {
				c.wrong("%s would be that of %d sources at once, and %s: %s is another: leave it out, or pick one with --source",
					from, len(meant), setting.At, setting.Key)
				break
			}
		}
	}
	return len(c.besides) == before
}

// provider is the source's, as the command line will have it.
func (l layered) provider() string {
	if given, ok := l.argument("provider"); ok {
		return given.(string)
	}
	flag := l.keys["provider"]
	if name := variable(flag); name != "" {
		return os.Getenv(name)
	}
	if setting, ok := l.setting(flag.Name); ok && !l.unfit[setting.At] {
		return setting.text()
	}
	return flag.Default
}

// checkSource checks what a source of the file says as a whole: keys that are of
// another provider, and secrets that are missing or cannot be read.
func (l layered) checkSource() (ok bool) {
	if l.file == nil {
		return true
	}
	before := len(l.inFile)
	provider := l.provider()
	if sources[provider].open == nil {
		return false // told already
	}
	for _, s := range l.own.Settings {
		if flag := l.keys[s.Key]; flag != nil {
			if only := flag.Tag.Get("of"); only != "" && only != provider {
				l.mistake(s.At, "%s is for %s, and this source is %s", s.Key, only, provider)
			}
		}
	}
	for _, section := range []*configfile.Section{l.own, &l.file.Top} {
		if found := l.checkSecrets(section, provider); found {
			break
		}
	}
	return len(l.inFile) == before
}

// checkSecrets checks the secrets that a section names.
func (l layered) checkSecrets(section *configfile.Section, provider string) (found bool) {
	places := make(map[string]configfile.Place)
	for _, kind := range secretKinds {
		at, ok := l.checkSecret(section, kind.key)
		if !ok {
			continue
		}
		found, places[kind.key] = true, at
		if kind.variables[provider] == "" && section == l.own {
			l.mistake(at, "%s is not for %s", kind.key, provider)
		}
	}
	for _, pair := range [][2]string{{accessKey, secretKey}, {secretKey, accessKey}, {securityToken, accessKey}} {
		at, one := places[pair[0]]
		if _, other := places[pair[1]]; one && !other {
			l.mistake(at, "%s is named without %s: they are used together", pair[0], pair[1])
		}
	}
	return found
}

// checkSecret checks one, and says where it is named.
func (c *configuring) checkSecret(section *configfile.Section, key string) (at configfile.Place, named bool) {
	file, inFile := section.Get(key + fromFile)
	if of, inVariable := section.Get(key + fromVariable); inVariable {
		at = of.At
		if inFile {
			c.mistake(of.At, "%s and %s are both named: one of them is enough", file.Key, of.Key)
		}
	} else {
		at = file.At
	}
	secret, named := c.secretIn(section, key)
	if !named || c.unfit[at] {
		return at, named
	}
	switch _, err := secret.Read(); {
	case err != nil:
		c.mistake(at, "%v", err)
	case !secret.Given():
		c.mistake(at, "%s is not set", secret.Name())
	}
	return at, true
}

// account is what two sources that read the same account have in common, as far
// as it can be told without asking anybody.
func (f *sourceFlags) account() string {
	who := []string{f.Provider, f.Region, f.Endpoint, f.ProjectID, f.Project, f.AccountID, f.Username, f.Domain}
	for _, kind := range secretKinds {
		who = append(who, f.secret(kind.key).Name())
	}
	return strings.Join(who, "\x00")
}

// checkSources checks each source as a whole, and whether two are one.
func (c *configuring) checkSources(all []*configured) {
	if !c.reads() {
		return
	}
	sound := make(map[*configured]bool)
	for _, of := range all {
		sound[of] = of.fits() && !of.lacking
		if of.consistent != nil {
			of.note(of.consistent.check())
		}
		if sound[of] && !of.unasked && c.file != nil { // without one, opening it says the same
			of.note(sources[of.flags.Provider].check(&of.flags.sourceFlags))
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if sound[a] && sound[b] && a.flags.account() == b.flags.account() {
				a.note(sharing(b, a))
			}
		}
	}
}

// sharing is the mistake that two sources of one account share functions, nil
// where they are not known to.
func sharing(a, b *configured) error {
	name, shared := overlap(a.flags.Functions, b.flags.Functions)
	if !shared {
		return nil
	}
	return usagef("it reads the same account as source %s, and a function named %q, say, belongs to both: tell them apart by functions", a.name, name)
}

// fits reports whether all that the file says for this source is what its flags
// take.
func (l layered) fits() bool {
	if l.file == nil {
		return true
	}
	for _, section := range []*configfile.Section{l.own, &l.file.Top} {
		for _, s := range section.Settings {
			if l.unfit[s.At] {
				return false
			}
		}
	}
	return true
}

// note notes what is wrong with the source as a whole. Of one in a list, it is
// told with the names of keys in place of those of variables.
func (of *configured) note(err error) {
	switch {
	case err == nil:
	case of.name != "":
		text := strings.TrimPrefix(err.Error(), extract.ErrOptions.Error()+": ")
		of.mistake(of.own.At, "source %s: %s", of.name, of.byKeys().Replace(text))
	default:
		of.besides = append(of.besides, &usageError{err})
	}
}

// byKeys replaces the names of variables and flags by those of keys in the file.
func (c *configuring) byKeys() *strings.Replacer {
	names := make(map[string]string)
	for key, flag := range c.keys {
		names["--"+key] = key
		for _, name := range flag.Envs {
			names[name] = key
		}
	}
	for _, kind := range secretKinds {
		for _, name := range kind.variables {
			names[name] = kind.key + fromFile
		}
	}
	var pairs []string
	// The longer ones first: some begin with others.
	for _, name := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) {
		pairs = append(pairs, name, names[name])
	}
	return strings.NewReplacer(pairs...)
}
