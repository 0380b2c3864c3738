// Package configfile reads the configuration file: YAML whose keys are one level
// deep, at the top and in each element of the list sources. It knows the place
// of each key and value, and not what they mean.
//
//	file.go      what a file says, and a mistake with its place
//	read.go      from the file to sections, settings and values
//	syntax.go    what is not YAML, and what was probably meant
//	nearest.go   the known name that is nearest to an unknown one
package configfile

import (
	"fmt"

	"archiver/internal/terminal"
)

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

// A Place is a position in a file. Lines and columns count from 1; a line of 0
// means the file as a whole.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// A Mistake is an error in a file, with its place.
type Mistake struct {
	At   Place
	Text string
}

func (m *Mistake) Error() string { return m.At.String() + ": " + m.Text }

// Mistakef makes a mistake at this place. Its text is safe to print.
func (p Place) Mistakef(format string, args ...any) error {
	return &Mistake{At: p, Text: terminal.Line(fmt.Sprintf(format, args...))}
}
