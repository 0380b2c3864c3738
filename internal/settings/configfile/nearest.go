package configfile

import (
	"fmt"
	"strings"
)

// Nearest returns the name that is most like an unknown one, empty if none is.
// A name is like another if at most a third of its letters, or two, have to
// change, or if one begins with the other. Two swapped letters are one change.
func Nearest(wrong string, names []string) string {
	best, least := "", max(2, len(wrong)/3)+1
	for _, name := range names {
		d := Distance(strings.ToLower(wrong), strings.ToLower(name))
		if d < least && d < len(name) {
			best, least = name, d
		}
	}
	if best != "" || len(wrong) < 3 {
		return best
	}
	for _, name := range names {
		if strings.HasPrefix(name, wrong) || strings.HasPrefix(wrong, name) {
			return name
		}
	}
	return ""
}

// DidYouMean returns the words that offer the nearest name, empty if none is near.
func DidYouMean(wrong string, names []string) string {
	if name := Nearest(wrong, names); name != "" {
		return fmt.Sprintf(", did you mean %q?", name)
	}
	return ""
}

// Distance returns how many letters have to be changed, added, removed, or
// swapped with the next one, to make b of a.
func Distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := last[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			row[j] = min(last[j]+1, row[j-1]+1, changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
