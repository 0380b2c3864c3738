package configfile

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v4"
)

// syntax turns an error of the YAML parser into a mistake, with a hint if the
// cause is a common one.
func syntax(path string, content []byte, err error) error {
	at := Place{File: path}
	var loading *yaml.LoadError
	if !errors.As(err, &loading) {
		return at.Mistakef("is not YAML: %v", err)
	}
	// The mark is where the parser noticed the error. The context mark is where the
	// alias, quote or bracket began that the parser was reading.
	mark := loading.Mark
	for _, reading := range []string{"while scanning an alias", "while scanning a quoted", "while parsing a flow"} {
		if loading.ContextMark.Line > 0 && strings.HasPrefix(loading.ContextMsg, reading) {
			mark = loading.ContextMark
		}
	}
	at.Line, at.Column = mark.Line, mark.Column
	if at.Line > 0 {
		if hint := hint(content, at, loading); hint != "" {
			return at.Mistakef("%s", hint)
		}
	}
	return at.Mistakef("is not YAML: %s", loading.Message)
}

// hint returns what was probably meant at this place, empty if that is not known.
func hint(content []byte, at Place, loading *yaml.LoadError) string {
	lines := strings.Split(string(content), "\n")
	if at.Line > len(lines) {
		return ""
	}
	line := []rune(strings.TrimPrefix(strings.TrimRight(lines[at.Line-1], "\r"), "\ufeff"))
	indent := string(line[:len(line)-len([]rune(strings.TrimLeft(string(line), " \t")))])
	if strings.Contains(indent, "\t") {
		return "a tab indents this line: YAML takes spaces alone"
	}
	if at.Column > len(line) {
		return ""
	}
	switch first := line[at.Column-1]; {
	case first == '*':
		return "a value that begins with * has to be in quotes, such as \"*-dev\" or \"* * * * *\": else it refers to an anchor"
	case strings.ContainsRune("@`%&|>", first) && loading.Message != "":
		return "a value that begins with " + string(first) + " has to be in quotes"
	case strings.HasPrefix(loading.Message, "mapping values are not allowed"):
		return "a key is not expected here: is the line indented as its neighbours are, or does a value with a colon need quotes?"
	}
	return ""
}
