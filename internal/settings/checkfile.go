package settings

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"archiver/internal/settings/configfile"
)

// sourceName matches the names that a source may have. Logs show the name, and
// printed lines begin with it.
var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// checkFile checks each key of the file, and the names of the sources.
func (in *input) checkFile() {
	in.checkKeys(&in.file.Top, false)
	names := make(map[string]configfile.Place)
	for i := range in.file.Sources {
		s := &in.file.Sources[i]
		in.checkKeys(s, true)
		in.checkName(s, names)
	}
}

// checkName checks that a source has a name, and that no other source has it.
func (in *input) checkName(s *configfile.Section, names map[string]configfile.Place) {
	name, ok := s.Get("name")
	switch {
	case !ok:
		in.mistake(s.At, "this source has no name: begin it with a line such as - name: shop")
	case name.List || !sourceName.MatchString(nameOf(s)) || name.Values[0].Kind == configfile.Null:
		in.mistake(name.At, "a name has letters, digits, dots, hyphens and underscores, as in shop-eu")
	default:
		if first, twice := names[nameOf(s)]; twice {
			in.mistake(name.At, "there are two sources named %q, the first at line %d", nameOf(s), first.Line)
			return
		}
		names[nameOf(s)] = name.At
	}
}

// checkKeys checks each key of a section: the top level, or a source in the list.
func (in *input) checkKeys(s *configfile.Section, listed bool) {
	for _, setting := range s.Settings {
		if listed && setting.Key == "name" {
			continue
		}
		if err := in.checkKey(setting, listed); err != nil {
			in.invalid[setting.At] = true
			in.fileMistakes = append(in.fileMistakes, err)
		}
	}
}

func (in *input) checkKey(s configfile.Setting, listed bool) error {
	if kind, ending, ok := splitSecretKey(s.Key); ok {
		switch {
		case kind == databaseKey && listed:
			return s.At.Mistakef("all sources share one database: %q belongs to the top level", s.Key)
		case ending == "":
			return s.At.Mistakef("this file cannot hold a secret: name a file that holds it in %s%s, or a variable in %s%s", kind, keyOfFile, kind, keyOfVariable)
		case s.List || s.Values[0].Kind == configfile.Null || s.Values[0].Text == "":
			return s.At.Mistakef("%s takes the path of a file or the name of a variable", s.Key)
		}
		return nil
	}
	flag := in.keys[s.Key]
	switch {
	case flag == nil:
		return in.unknownKey(s, listed)
	case listed && !OfSource(flag):
		return s.At.Mistakef("%q is a setting of the whole process: it belongs to the top level", s.Key)
	}
	return checkValues(flag, s)
}

func (in *input) unknownKey(s configfile.Setting, listed bool) error {
	known := slices.Sorted(maps.Keys(in.keys))
	if listed {
		known = slices.DeleteFunc(known, func(key string) bool { return !OfSource(in.keys[key]) })
		known = append(known, "name")
	} else {
		known = append(known, "sources", databaseKey+keyOfFile, databaseKey+keyOfVariable)
	}
	for _, kind := range SecretKinds {
		known = append(known, kind.Key+keyOfFile, kind.Key+keyOfVariable)
	}
	switch s.Key {
	case "name":
		return s.At.Mistakef("a name belongs to a source in the list sources")
	case "source", "config":
		return s.At.Mistakef("%q is a flag, and not a key of this file", s.Key)
	}
	return s.At.Mistakef("unknown key %q%s", s.Key, configfile.DidYouMean(s.Key, known))
}

// splitSecretKey splits the key of a secret. The ending is empty for a key that
// would hold the secret itself.
func splitSecretKey(key string) (kind, ending string, ok bool) {
	kind = key
	for _, e := range []string{keyOfFile, keyOfVariable} {
		if cut, found := strings.CutSuffix(key, e); found {
			kind, ending = cut, e
		}
	}
	ok = kind == databaseKey || slices.ContainsFunc(SecretKinds, func(k SecretKind) bool { return k.Key == kind })
	return kind, ending, ok
}

// plainNumber matches a number that has only one meaning: YAML and Go read 010
// differently.
var plainNumber = regexp.MustCompile(`^(0|[1-9]\d*)(\.\d+)?$`)

// checkValues checks the values of a key: first that YAML reads them as the right
// type, then that the flag of the same name takes them.
func checkValues(flag *kong.Flag, s configfile.Setting) error {
	if s.List && !flag.IsSlice() {
		return s.At.Mistakef("%s takes one value, and has a list here", s.Key)
	}
	kind := flag.Target.Kind()
	for _, v := range s.Values {
		switch {
		case v.Kind == configfile.Null:
			return v.At.Mistakef("%s has no value: remove the key", s.Key)
		case flag.IsBool() && v.Kind != configfile.Bool:
			return v.At.Mistakef("%s is true or false, without quotes, and not %q", s.Key, v.Text)
		case !flag.IsBool() && v.Kind == configfile.Bool:
			return v.At.Mistakef("%s is not true or false: put %s in quotes if it is meant as a text", s.Key, v.Text)
		case (kind == reflect.Int || kind == reflect.Float64) && !plainNumber.MatchString(v.Text):
			return v.At.Mistakef("%s is a number in plain digits, and not %q", s.Key, v.Text)
		}
		if err := checkText(flag, v.Text); err != nil {
			return v.At.Mistakef("%s: %v", s.Key, err)
		}
	}
	return nil
}

// checkText checks that a flag takes a text as its value.
func checkText(flag *kong.Flag, text string) error {
	scratch := reflect.New(flag.Target.Type()).Elem()
	err := flag.Parse(kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text}), scratch)
	if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), flag.ShortSummary()+": "))
	}
	if flag.Enum == "" || slices.Contains(flag.EnumSlice(), text) {
		return nil
	}
	return fmt.Errorf("%q is none of %s%s", text, strings.Join(flag.EnumSlice(), ", "), configfile.DidYouMean(text, flag.EnumSlice()))
}
