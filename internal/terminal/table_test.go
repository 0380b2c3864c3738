package terminal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A table fits a width: the last column is shortened, and with too little room its
// texts stand below their lines.
func TestTable(t *testing.T) {
	t.Parallel()
	table := Table{Columns: []Column{{Head: "START"}, {Head: "SECONDS", Right: true}, {Head: "ID"}, {Head: "ERROR", Rank: 1, Least: 30}}, Below: true}
	table.Add("10:00", "1", "first", "")
	table.Add("10:01", "10.5", "二\x1b[31m", "what went\nwrong is a long story that fits in no line of a narrow terminal")
	for width, want := range map[int]string{
		0: `
START  SECONDS  ID       ERROR
10:00        1  first
10:01     10.5  二�[31m  what went wrong is a long story that fits in no line of a narrow terminal
`,
		60: `
START  SECONDS  ID       ERROR
10:00        1  first
10:01     10.5  二�[31m  what went wrong is a long story th…
`,
		24: `
START  SECONDS  ID
10:00        1  first
10:01     10.5  二�[31m
  what went wrong is a …
`,
	} {
		var b strings.Builder
		if err := table.Write(&b, width); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), b.String()); diff != "" {
			t.Errorf("%d cells: %s", width, diff)
		}
	}
	var b strings.Builder
	if err := (&Table{Columns: table.Columns}).Write(&b, 80); err != nil || b.Len() > 0 {
		t.Errorf("a table without rows prints %q, %v", b.String(), err)
	}
}
