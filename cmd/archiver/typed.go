package main

import (
	"regexp"
	"strings"

	"archiver/internal/terminal"
)

// typed is what the user typed after the command's name. No secret is a
// flag.
type typed []string

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// String is it as one line to paste into a shell.
func (c typed) String() string {
	words := []string{"archiver"}
	for _, word := range c {
		word = terminal.Printable(word)
		if !plainWord.MatchString(word) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
