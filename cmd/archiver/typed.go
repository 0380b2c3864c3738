package main

import (
	"regexp"
	"strings"

	"archiver/internal/terminal"
)

// typed has the arguments of the command line. They contain no secret, because no
// secret is a flag.
type typed []string

// plainWord matches a word that needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// String returns the command line as one line to paste into a shell.
func (t typed) String() string {
	words := []string{"archiver"}
	for _, word := range t {
		word = terminal.Printable(word)
		if !plainWord.MatchString(word) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
