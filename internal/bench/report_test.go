package main

import (
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	for _, test := range []struct {
		measure
		verdict string
	}{
		{figure("calls", "%d / %d", 3, 2), ""},
		{atMost("calls", "%.2f", 1.099, 1.1), "yes"},
		{atMost("calls", "%.2f", 1.104, 1.1), "yes"}, // shown as 1.10
		{atMost("calls", "%.2f", 1.106, 1.1), "NO"},
		{atMost("rows", "%.0f", 0, 0), "yes"},
		{atMost("rows", "%.0f", 1, 0), "NO"},
		{atLeast("share", "%.2f", 0.5, 0.5), "yes"},
		{atLeast("share", "%.2f", 0.49, 0.5), "NO"},
	} {
		if got := test.verdict; got != test.measure.verdict() {
			t.Errorf("%s, target %q: met %q, want %q", test.value, test.target, test.measure.verdict(), got)
		}
	}
}

// The section by hand stays; the rest is as last measured.
func TestResults(t *testing.T) {
	first := results("", "2 cores", []measure{atMost("pages", "%.1f", 1, 2)}, []column{{"`status`", 8}})
	want := `| benchmark | measure | value | target | met |
| --------- | ------- | ----- | ------ | --- |
|           | pages   | 1.0   | ≤ 2.0  | yes |
`
	if !strings.Contains(first, want) || !strings.HasSuffix(first, "\n"+byHand) {
		t.Errorf("at first:\n%s", first)
	}
	second := results(first+"\nIn the index.\n", "4 cores", nil, nil)
	if !strings.HasSuffix(second, byHand+"\nIn the index.\n") || strings.Contains(second, "2 cores") || !strings.Contains(second, "4 cores") {
		t.Errorf("then:\n%s", second)
	}
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]bool{"": true, "day": true, "days": false} {
		if got := checkName(name) == nil; got != want {
			t.Errorf("%q is known: %t, want %t", name, got, want)
		}
	}
}
