package settings

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/settings/configfile"
)

// pickSections returns the sections of the sources that the command is for. If the
// file lists no sources, it returns one empty section: flags, environment and the
// top level describe the only source.
func (in *input) pickSections() []*configfile.Section {
	if !in.readsSources() {
		return []*configfile.Section{{}}
	}
	names, from := in.namesOfSources()
	switch {
	case !in.file.Several:
		if len(names) > 0 && (in.file.Path != "" || len(in.fileMistakes) == 0) {
			in.wrong("%s picks sources of a configuration file, and there is none that lists them (--config)", from)
			return nil
		}
		return []*configfile.Section{{}}
	case len(names) == 0:
		var all []*configfile.Section
		for i := range in.file.Sources {
			all = append(all, &in.file.Sources[i])
		}
		return all
	}
	var picked []*configfile.Section
	var known []string
	for i := range in.file.Sources {
		s := &in.file.Sources[i]
		if name := nameOf(s); sourceName.MatchString(name) && !slices.Contains(known, name) {
			known = append(known, name)
		}
		if slices.Contains(names, nameOf(s)) {
			picked = append(picked, s)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			in.wrong("%s: there is no source %q in %s%s It has %s", from, name, in.file.Path,
				cmp.Or(configfile.DidYouMean(name, known), "."), strings.Join(known, ", "))
		}
	}
	return picked
}

// namesOfSources returns the names that --source or its variable has.
func (in *input) namesOfSources() (names []string, from string) {
	if given, ok := in.argument("source"); ok {
		return given.([]string), "--source"
	}
	return kong.SplitEscaped(os.Getenv("ARCHIVER_SOURCE"), ','), "ARCHIVER_SOURCE"
}

// nameOf returns the name of a source, empty if it has none.
func nameOf(s *configfile.Section) string {
	if name, ok := s.Get("name"); ok && !name.List {
		return name.Values[0].Text
	}
	return ""
}

// A sourceResolver finds the values of one source. Kong asks it for the flags that
// neither the arguments nor the environment give.
type sourceResolver struct {
	in      *input
	section *configfile.Section // of the source; empty without a list of sources
}

// Validate does nothing: the file was checked before.
func (r sourceResolver) Validate(*kong.Application) error { return nil }

// Resolve returns the value that the file gives a flag, or else its derived default.
func (r sourceResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if variable(flag) != "" {
		return nil, nil // kong has it
	}
	setting, ok := r.setting(flag.Name)
	switch {
	case ok && r.in.keys[flag.Name] != nil && !r.in.invalid[setting.At]:
		return settingText(setting), nil
	case ok || !r.in.readsSources():
		return nil, nil
	}
	if text, _ := r.derived(flag.Name); text != "" {
		return text, nil
	}
	return nil, nil
}

// derived returns the default of a flag that depends on other settings, and on which;
// empty if the default of the flag does not.
func (r sourceResolver) derived(name string) (text, from string) {
	switch name {
	case "source-retention":
		return DurationText(r.in.line.SourceRetention(r.provider())), "default of " + r.provider()
	case "lookback":
		flag := r.in.keys["source-retention"]
		if text, from := r.in.given(flag); from != "" {
			return text, "default: source-retention"
		}
		if setting, ok := r.setting(flag.Name); ok && !r.in.invalid[setting.At] {
			return settingText(setting), "default: source-retention"
		}
		text, _ := r.derived(flag.Name)
		return text, "default: source-retention"
	}
	return "", ""
}

// setting returns a key of the source's section, or else of the top level.
func (r sourceResolver) setting(key string) (configfile.Setting, bool) {
	if own, ok := r.section.Get(key); ok {
		return own, true
	}
	return r.in.file.Top.Get(key)
}

// settingText returns the value of a key as one gives it in a flag.
func settingText(s configfile.Setting) string {
	if !s.List {
		return s.Values[0].Text
	}
	var texts []string
	for _, v := range s.Values {
		texts = append(texts, v.Text)
	}
	return kong.JoinEscaped(texts, ',')
}

// provider returns the provider of the source.
func (r sourceResolver) provider() string {
	flag := r.in.keys["provider"]
	if text, from := r.in.given(flag); from != "" {
		return text
	}
	if setting, ok := r.setting(flag.Name); ok && !r.in.invalid[setting.At] {
		return settingText(setting)
	}
	return flag.Default
}

// secretsSection returns the section that names the secrets of the source: its own
// section, or the top level if its own names none. It returns nil if the file
// names no secret for the source.
func (r sourceResolver) secretsSection() *configfile.Section {
	for _, section := range []*configfile.Section{r.section, &r.in.file.Top} {
		for _, kind := range SecretKinds {
			if _, ok := r.in.secretIn(section, kind.Key); ok {
				return section
			}
		}
	}
	return nil
}

// credentials returns the secrets of the source: those in the file or, if the file
// names none, those of the environment.
func (r sourceResolver) credentials(provider string) (c Credentials) {
	section := r.secretsSection()
	if section == nil {
		return credentialsFromEnvironment(provider)
	}
	for _, kind := range SecretKinds {
		*kind.in(&c), _ = r.in.secretIn(section, kind.Key)
	}
	return c
}

// projectID returns the project that HUAWEICLOUD_SDK_PROJECT_ID_FILE holds. A
// source with secrets in the file does not use it.
func (r sourceResolver) projectID() (id string, from extract.Secret, err error) {
	if r.secretsSection() != nil {
		return "", from, nil
	}
	from = extract.SecretFrom(projectVariable)
	id, err = from.Read()
	return id, from, err
}
