package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxSize bounds a file: thousands of sources fit in.
const maxSize = 1 << 20

// sources is the key of the list of sources.
const sources = "sources"

// Read reads a file. It returns all mistakes of the file at once, and with them
// the parts of the file that have none.
func Read(path string) (*File, []error) {
	content, err := content(path)
	if err != nil {
		return nil, []error{Place{File: path}.Mistakef("%v", err)}
	}
	return Parse(path, content)
}

// content returns the content of a file, up to maxSize bytes.
func content(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // the path is told already
		}
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(content) > maxSize {
		return nil, fmt.Errorf("is larger than %d KiB: this is not a configuration file", maxSize>>10)
	}
	return content, nil
}

// Parse is Read for a content in memory. The path is for mistakes.
func Parse(path string, content []byte) (*File, []error) {
	r := &reader{file: &File{Path: path, Top: Section{At: Place{File: path}}}}
	root, err := document(path, content)
	if err != nil {
		return nil, []error{err}
	}
	if r.noAliases(root); len(r.mistakes) == 0 {
		r.read(root)
	}
	return r.file, r.mistakes
}

// document returns the only YAML document of the file.
func document(path string, content []byte) (*yaml.Node, error) {
	if len(bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\ufeff")))) == 0 {
		return nil, Place{File: path}.Mistakef("is empty")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		return nil, Place{File: path}.Mistakef("cannot be read: %v", err)
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		return nil, Place{File: path}.Mistakef("has nothing but comments in it")
	case err != nil:
		return nil, syntax(path, content, err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, Place{path, second.Line, max(second.Column, 1)}.Mistakef("a second document begins here: a file has one, and lists its sources in it")
	case !errors.Is(err, io.EOF):
		return nil, syntax(path, content, err)
	}
	return &first, nil
}

// A reader turns YAML nodes into a File and collects the mistakes.
type reader struct {
	file     *File
	mistakes []error
}

func (r *reader) at(n *yaml.Node) Place { return Place{r.file.Path, n.Line, n.Column} }

func (r *reader) mistake(n *yaml.Node, format string, args ...any) {
	r.mistakes = append(r.mistakes, r.at(n).Mistakef(format, args...))
}

// noAliases refuses aliases: with them, a small file can expand without end.
// Settings that sources share stand at the top level.
func (r *reader) noAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		r.mistake(n, "%q is an alias, which is not read: what is said at the top level holds for all sources that say nothing else; a value that begins with * has to be in quotes", "*"+n.Value)
		return
	}
	for _, child := range n.Content {
		r.noAliases(child)
	}
}

func (r *reader) read(document *yaml.Node) {
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		r.mistake(root, "a file holds keys with values, such as region: cn-north-4")
		return
	}
	r.file.Top = r.section(root, func(key, value *yaml.Node) bool {
		if key.Value != sources {
			return false
		}
		r.file.Several = true
		r.list(value)
		return true
	})
}

// list reads the sources.
func (r *reader) list(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		r.mistake(n, "%s is a list, an element for each source: begin each with a hyphen, as in - name: shop", sources)
		return
	}
	if len(n.Content) == 0 {
		r.mistake(n, "%s is empty: there is nothing to read", sources)
	}
	for _, element := range n.Content {
		if element.Kind != yaml.MappingNode {
			r.mistake(element, "a source is keys with values, such as - name: shop")
			continue
		}
		r.file.Sources = append(r.file.Sources, r.section(element, func(key, _ *yaml.Node) bool {
			if key.Value != sources {
				return false
			}
			r.mistake(key, "a source has no %s of its own", sources)
			return true
		}))
	}
}

// section reads keys with their values, except those that special handles.
func (r *reader) section(n *yaml.Node, special func(key, value *yaml.Node) bool) Section {
	s := Section{At: r.at(n)}
	seen := make(map[string]Place)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.mistake(key, "a key is a single word")
			continue
		}
		if key.Tag == "!!merge" {
			r.mistake(key, "keys cannot be merged in: what is said at the top level holds for all sources that say nothing else")
			continue
		}
		first, twice := seen[key.Value]
		if twice {
			r.mistake(key, "%q is there twice, first at line %d", key.Value, first.Line)
		}
		if !twice {
			seen[key.Value] = r.at(key)
		}
		if special(key, value) || twice {
			continue
		}
		if setting, ok := r.setting(key, value); ok {
			s.Settings = append(s.Settings, setting)
		}
	}
	return s
}

// setting reads the value of a key: a single value or a list of values.
func (r *reader) setting(key, n *yaml.Node) (s Setting, ok bool) {
	s = Setting{Key: key.Value, At: r.at(key)}
	switch n.Kind {
	case yaml.ScalarNode:
		v, ok := r.value(n)
		s.Values = []Value{v}
		return s, ok
	case yaml.SequenceNode:
		s.List, ok = true, true
		for _, element := range n.Content {
			if element.Kind != yaml.ScalarNode {
				r.mistake(element, "%q is a list of single values", key.Value)
				ok = false
				continue
			}
			v, good := r.value(element)
			s.Values, ok = append(s.Values, v), ok && good
		}
		return s, ok
	default:
		r.mistake(n, "%q takes a value, and has keys of its own here", key.Value)
		return s, false
	}
}

// value reads a scalar.
func (r *reader) value(n *yaml.Node) (v Value, ok bool) {
	v = Value{Text: n.Value, At: r.at(n)}
	switch n.Tag {
	case "!!str", "!!timestamp":
	case "!!int", "!!float":
		v.Kind = Number
	case "!!bool":
		v.Kind = Bool
	case "!!null":
		v.Kind = Null
	default:
		written := strings.TrimSpace(n.Tag + " " + n.Value)
		r.mistake(n, "a value that begins with ! is a tag to YAML: put it in quotes, %q", written)
		return v, false
	}
	return v, true
}
