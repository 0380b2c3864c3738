package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/mattn/go-runewidth"
)

// cells measures texts in terminal cells. A character whose width depends on
// the locale counts as one cell.
var cells = &runewidth.Condition{StrictEmojiNeutral: true}

// Width returns the number of cells that a text takes.
func Width(text string) int { return cells.StringWidth(text) }

// Printable replaces each character that a terminal would obey, and each byte
// that is not UTF-8, by U+FFFD. Such characters move the cursor, change colours
// or change the direction of the text.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}

// Line returns a printable text on one line: each run of white space becomes
// one space. Names and errors from a source are printed through Line.
func Line(text string) string { return Printable(strings.Join(strings.Fields(text), " ")) }

// Cut returns a printable text of one line, cut to a width in cells.
func Cut(text string, width int) string {
	if width <= 0 {
		return ""
	}
	// Only the beginning of a very long text is looked at. Eight bytes a cell
	// leave room for letters with combining marks, which take no cell.
	if most := 8 * width; len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + strings.Repeat(" ", width) + "."
	}
	return Truncate(Line(text), width, "…")
}

// Truncate cuts a printable text to a width in cells. A cut text ends with tail.
func Truncate(text string, width int, tail string) string {
	if width <= 0 {
		return ""
	}
	return cells.Truncate(text, width, tail)
}

// Pad appends spaces to a text up to a width in cells.
func Pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-Width(text)))
}

// JSON escapes each character of a JSON document that a terminal would obey.
// The document keeps its meaning.
func JSON(document []byte) []byte {
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
