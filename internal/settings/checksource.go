package settings

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/settings/configfile"
)

// checkAccounts refuses a flag or variable that says which account is read, if
// several sources name their own account: all of them would read the same one.
// Every other flag or variable holds for all sources.
func (in *input) checkAccounts(sections []*configfile.Section) (ok bool) {
	if len(sections) < 2 {
		return true
	}
	before := len(in.otherErrors)
	for _, flag := range in.command.Flags {
		if !flag.Tag.Has("account") {
			continue
		}
		value, from := in.given(flag)
		if from == "" {
			continue
		}
		only := flag.Tag.Get("of")
		var concerned []sourceResolver
		for _, section := range sections {
			if r := (sourceResolver{in, section}); only == "" || only == r.provider() {
				concerned = append(concerned, r)
			}
		}
		for _, r := range concerned {
			setting, ok := r.setting(flag.Name)
			if !ok && flag.Name == "project-id" {
				setting, ok = r.setting("project")
			}
			if len(concerned) > 1 && ok && (setting.Key != flag.Name || settingText(setting) != value) {
				in.wrong("%s would hold for %d sources at once, but %s has another %s: remove it, or pick one source with --source",
					from, len(concerned), setting.At, setting.Key)
				break
			}
		}
	}
	return len(in.otherErrors) == before
}

// checkSection checks what the file says of a source as a whole: keys of another
// provider, and secrets that are missing or cannot be read.
func (r sourceResolver) checkSection() (ok bool) {
	before := len(r.in.fileMistakes)
	provider := r.provider()
	if flag := r.in.keys["provider"]; !slices.Contains(flag.EnumSlice(), provider) {
		return false // this mistake is known already
	}
	for _, s := range r.section.Settings {
		if flag := r.in.keys[s.Key]; flag != nil {
			if only := flag.Tag.Get("of"); only != "" && only != provider {
				r.in.mistake(s.At, "%s is for %s, and this source is %s", s.Key, only, provider)
			}
		}
	}
	if section := r.secretsSection(); section != nil {
		r.checkSecrets(section, provider)
	}
	return len(r.in.fileMistakes) == before
}

// checkSecrets checks the secrets that a section names.
func (r sourceResolver) checkSecrets(section *configfile.Section, provider string) {
	places := make(map[string]configfile.Place)
	for _, kind := range SecretKinds {
		at, ok := r.in.checkSecret(section, kind.Key)
		if !ok {
			continue
		}
		places[kind.Key] = at
		if kind.Variables[provider] == "" && section == r.section {
			r.in.mistake(at, "%s is not for %s", kind.Key, provider)
		}
	}
	for _, pair := range neededSecrets {
		at, one := places[pair[0]]
		if _, other := places[pair[1]]; one && !other {
			r.in.mistake(at, "%s needs %s as well", pair[0], pair[1])
		}
	}
}

// checkSecret checks one secret, and returns the place of its key.
func (in *input) checkSecret(section *configfile.Section, key string) (at configfile.Place, named bool) {
	file, inFile := section.Get(key + keyOfFile)
	at = file.At
	if variable, inVariable := section.Get(key + keyOfVariable); inVariable {
		at = variable.At
		if inFile {
			in.mistake(at, "%s and %s are both set: one of them is enough", file.Key, variable.Key)
		}
	}
	secret, named := in.secretIn(section, key)
	if !named || in.invalid[at] {
		return at, named
	}
	switch _, err := secret.Read(); {
	case err != nil:
		in.mistake(at, "%v", err)
	case !secret.Given():
		in.mistake(at, "%s is not set", secret.Name())
	}
	return at, true
}

// checkSources checks each source as a whole, and that no two sources share
// functions of one account.
func (in *input) checkSources(all []*parsedSource) {
	if !in.readsSources() {
		return
	}
	for _, p := range all {
		p.sound = p.sound && p.resolver.isValid()
		p.add(p.check())
		if p.Provider == functiongraph.Provider && p.ProjectID == "" {
			id, _, err := p.resolver.projectID()
			if p.ProjectID = id; err != nil {
				p.add(&UsageError{err})
			}
		}
		if p.sound && in.file.Path != "" { // without a file, opening the source reports the same
			p.add(in.line.CheckSource(&p.Source))
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.sound && b.sound && a.account() == b.account() {
				a.add(SharedFunctions(&b.Source, &a.Source))
			}
		}
	}
}

// isValid reports whether no key that concerns the source has a mistake.
func (r sourceResolver) isValid() bool {
	for _, section := range []*configfile.Section{r.section, &r.in.file.Top} {
		for _, s := range section.Settings {
			if r.in.invalid[s.At] {
				return false
			}
		}
	}
	return true
}

// add adds a mistake of the source as a whole. The mistake of a source in a list
// names keys of the file in place of flags and variables.
func (p *parsedSource) add(err error) {
	in := p.resolver.in
	switch {
	case err == nil:
	case p.Name != "":
		text := strings.TrimPrefix(err.Error(), extract.ErrOptions.Error()+": ")
		in.mistake(p.resolver.section.At, "source %s: %s", p.Name, in.keyNames().Replace(text))
	default:
		in.otherErrors = append(in.otherErrors, &UsageError{err})
	}
}

// keyNames replaces the names of variables and flags by keys of the file.
func (in *input) keyNames() *strings.Replacer {
	names := make(map[string]string)
	for key, flag := range in.keys {
		names["--"+key] = key
		for _, name := range flag.Envs {
			names[name] = key
		}
	}
	for _, kind := range SecretKinds {
		for _, name := range kind.Variables {
			names[name] = kind.Key + keyOfFile
		}
	}
	var pairs []string
	// Long names first, because some begin with others.
	for _, name := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) {
		pairs = append(pairs, name, names[name])
	}
	return strings.NewReplacer(pairs...)
}
