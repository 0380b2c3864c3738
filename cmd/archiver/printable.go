package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/mattn/go-runewidth"
)

// cells measures texts as terminals show them, whatever the locale says of
// characters whose width is ambiguous.
var cells = &runewidth.Condition{StrictEmojiNeutral: true}

// printable is a foreign text fit for one line of a terminal: without what a
// terminal would obey, or that shows a text in another order than it is in.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
	return strings.Join(strings.Fields(text), " ")
}

// cut is a printable text, no wider than so many cells.
func cut(text string, width int) string {
	// Of a megabyte only the beginning is looked at; letters may have marks on
	// them that take no cell.
	if most := 8 * width; len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + strings.Repeat(" ", width) + "."
	}
	return cells.Truncate(printable(text), width, "…")
}

// padded is a text with spaces behind it, as wide as so many cells.
func padded(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-cells.StringWidth(text)))
}

// plainJSON is JSON of which a terminal obeys nothing either: what is not
// printable is escaped.
func plainJSON(document []byte) []byte {
	var b []byte
	for _, r := range string(document) {
		switch {
		case r < unicode.MaxASCII || unicode.IsPrint(r) || unicode.Is(unicode.Zs, r):
			b = append(b, string(r)...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}
