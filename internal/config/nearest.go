package config

import (
	"fmt"
	"strings"
)

// Nearest is the name that is most like the wrong one, empty where none is:
// one that begins with it or it with, or of which no more than a third, and two
// letters at least, has to be changed. Two letters in the wrong order are one change.
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

// DidYouMean is how the nearest name is offered, empty where there is none.
func DidYouMean(wrong string, names []string) string {
	if name := Nearest(wrong, names); name != "" {
		return fmt.Sprintf(", did you mean %q?", name)
	}
	return ""
}

// Distance is how many letters have to be changed, added, left out or swapped
// with their neighbour.
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
