package main

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

// sourceName is what a source may be called: its name is shown in logs, and
// before what is printed.
var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// checkName has each source named, and each otherwise.
func (c *configuring) checkName(s *configfile.Section, names map[string]configfile.Place) {
	name, ok := s.Get("name")
	switch {
	case !ok:
		c.mistake(s.At, "this source has no name: begin it with - name: shop, say")
	case name.List || !sourceName.MatchString(nameOf(s)) || name.Values[0].Kind == configfile.Null:
		c.mistake(name.At, "a name has letters, digits, dots, hyphens and underscores, as in shop-eu")
	default:
		if first, twice := names[nameOf(s)]; twice {
			c.mistake(name.At, "there are two sources named %q, the first at line %d", nameOf(s), first.Line)
			return
		}
		names[nameOf(s)] = name.At
	}
}

// checkSection checks every key of the top level or of a source.
func (c *configuring) checkSection(s *configfile.Section, ofOne bool) {
	for _, setting := range s.Settings {
		if ofOne && setting.Key == "name" {
			continue
		}
		if err := c.checkKey(setting, ofOne); err != nil {
			c.unfit[setting.At] = true
			c.inFile = append(c.inFile, err)
		}
	}
}

// checkKey checks one.
func (c *configuring) checkKey(s configfile.Setting, ofOne bool) error {
	if kind, ending, ok := splitSecret(s.Key); ok {
		switch {
		case kind == databaseURL && ofOne:
			return s.At.Mistakef("all sources share one database: %q belongs to the top level", s.Key)
		case ending == "":
			return s.At.Mistakef("a secret has no place in this file: say in %s%s which file holds it, or in %s%s which variable", kind, fromFile, kind, fromVariable)
		case s.List || s.Values[0].Kind == configfile.Null || s.Values[0].Text == "":
			return s.At.Mistakef("%s takes the path of a file or the name of a variable", s.Key)
		}
		return nil
	}
	flag := c.keys[s.Key]
	switch {
	case flag == nil:
		return c.unknownKey(s, ofOne)
	case ofOne && !ofSourceFlag(flag):
		return s.At.Mistakef("%q is of the process as a whole: it belongs to the top level", s.Key)
	}
	return checkSetting(flag, s)
}

// ofSourceFlag reports whether each source may have a value of its own.
func ofSourceFlag(flag *kong.Flag) bool { return flag.Group != nil && flag.Group.Key == ofSource }

func (c *configuring) unknownKey(s configfile.Setting, ofOne bool) error {
	known := slices.Sorted(maps.Keys(c.keys))
	if ofOne {
		known = slices.DeleteFunc(known, func(key string) bool { return !ofSourceFlag(c.keys[key]) })
		known = append(known, "name")
	} else {
		known = append(known, "sources", databaseURL+fromFile, databaseURL+fromVariable)
	}
	for _, kind := range secretKinds {
		known = append(known, kind.key+fromFile, kind.key+fromVariable)
	}
	switch s.Key {
	case "name":
		return s.At.Mistakef("a name is of one source, in the list sources")
	case "source", "config":
		return s.At.Mistakef("%q is a flag, and no key of this file", s.Key)
	}
	return s.At.Mistakef("unknown key %q%s", s.Key, configfile.DidYouMean(s.Key, known))
}

// splitSecret splits the key of a secret; its ending is empty for the secret
// itself.
func splitSecret(key string) (kind, ending string, ok bool) {
	kind = key
	for _, e := range []string{fromFile, fromVariable} {
		if cut, found := strings.CutSuffix(key, e); found {
			kind, ending = cut, e
		}
	}
	ok = kind == databaseURL || slices.ContainsFunc(secretKinds, func(k secretKind) bool { return k.key == kind })
	return kind, ending, ok
}

// plainNumber is one that everybody reads the same.
var plainNumber = regexp.MustCompile(`^(0|[1-9]\d*)(\.\d+)?$`)

// checkSetting says what is wrong with a value, if anything: first as what YAML
// takes it for, then as the flag of the same name would.
func checkSetting(flag *kong.Flag, s configfile.Setting) error {
	if s.List && !flag.IsSlice() {
		return s.At.Mistakef("%s takes one value, and has a list here", s.Key)
	}
	kind := flag.Target.Kind()
	for _, v := range s.Values {
		switch {
		case v.Kind == configfile.Null:
			return v.At.Mistakef("%s has no value: leave the key out", s.Key)
		case flag.IsBool() && v.Kind != configfile.Bool:
			return v.At.Mistakef("%s is true or false, without quotes, and not %q", s.Key, v.Text)
		case !flag.IsBool() && v.Kind == configfile.Bool:
			return v.At.Mistakef("%s is no yes or no: where %s is meant as a text, put it in quotes", s.Key, v.Text)
		case (kind == reflect.Int || kind == reflect.Float64) && !plainNumber.MatchString(v.Text):
			return v.At.Mistakef("%s is a number written in plain digits, and not %q", s.Key, v.Text)
		}
		if err := checkText(flag, v.Text); err != nil {
			return v.At.Mistakef("%s: %v", s.Key, err)
		}
	}
	return nil
}

// checkText decodes a text as the value of a flag, to see whether it is one.
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
