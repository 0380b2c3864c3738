// Package configfile reads the configuration file: YAML whose keys are one level
// deep, at the top and in each element of the list sources. It knows the place
// of each key and value, and not what they mean.
//
//	read.go      from the file to sections, settings and values
//	syntax.go    what is not YAML, and what was probably meant
//	mistake.go   a mistake and its place
//	nearest.go   the known name that is nearest to an unknown one
package configfile

// A File is what a configuration file says.
type File struct {
	Path    string // as it was given
	Top     Section
	Sources []Section
	// Several reports whether the file has a list of sources, even an empty one.
	// Without a list, the top level describes the only source.
	Several bool
}

// A Section has the settings of one source, or those at the top level.
type Section struct {
	At       Place
	Settings []Setting // in the order of the file, no key twice
}

// A Setting is a key with its value.
type Setting struct {
	Key    string
	At     Place // of the key
	Values []Value
	List   bool // else there is exactly one value
}

// A Value is one scalar.
type Value struct {
	Text string // as written, without quotes
	Kind Kind
	At   Place
}

// A Kind is the type that a value has in YAML.
type Kind int

// The kinds of values. A quoted value is a Text, and so are the words yes, no, on
// and off. Only true and false are a Bool.
const (
	Text Kind = iota
	Number
	Bool
	Null
)

// Get returns the setting with this key, if the section has one.
func (s *Section) Get(key string) (Setting, bool) {
	for _, setting := range s.Settings {
		if setting.Key == key {
			return setting, true
		}
	}
	return Setting{}, false
}
