// Package config reads the configuration file: YAML whose keys are one level
// deep, at the top and in each element of the list `sources`. It knows where
// each key and value stands, and not what they mean.
//
//	read.go      the file → sections, settings, values
//	syntax.go    what is no YAML, and what was probably meant
//	mistake.go   what is wrong, and where
//	nearest.go   the right name nearest to a wrong one
package config

// A File is what a configuration file says.
type File struct {
	Path    string // as it was given
	Top     Section
	Sources []Section
	// Several says that there is a list of sources, be it empty: else the top
	// level says all there is to say of one source.
	Several bool
}

// A Section is the settings of one source, or those at the top level.
type Section struct {
	At       Place
	Settings []Setting // as they stand in the file, no key twice
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
	Text string // as it is written, but for quotes
	Kind Kind
	At   Place
}

// A Kind is what YAML takes a value for.
type Kind int

// The kinds of values. What is quoted is a Text. Words such as yes, no, on and
// off are as well: only true and false are a Bool.
const (
	Text Kind = iota
	Number
	Bool
	Null
)

// Get is the setting of this key, if the section has it.
func (s *Section) Get(key string) (Setting, bool) {
	for _, setting := range s.Settings {
		if setting.Key == key {
			return setting, true
		}
	}
	return Setting{}, false
}
