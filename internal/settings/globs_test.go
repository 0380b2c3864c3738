package settings

import (
	"slices"
	"strings"
	"testing"
)

// Sources of one account may share it by functions, not the functions.
func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"", "orders-*", true},
		{"orders-*", "stock-*", false},
		{"orders-*", "orders-eu", true},
		{"orders-*", "*-eu", true},
		{"*eu*", "orders-?", false},
		{"*rs*", "orders-?", true},
		{"!orders-*", "orders-*", false},
		{"!orders-*", "!stock-*", true},
		{"orders-*,!*-test", "orders-test", false},
		{"orders-[ab]", "orders-c", false},
		{"a/*", "b/*", false},
		{"a/*", "*/b", true},
	} {
		split := func(globs string) []string {
			return slices.DeleteFunc(strings.Split(globs, ","), func(g string) bool { return g == "" })
		}
		for _, pair := range [][2]string{{test.a, test.b}, {test.b, test.a}} {
			name, got := overlap(split(pair[0]), split(pair[1]))
			if got != test.want {
				t.Errorf("%q and %q share %q (%t), want %t", pair[0], pair[1], name, got, test.want)
			}
		}
	}
}
