package terminal

import "testing"

func TestLine(t *testing.T) {
	t.Parallel()
	if got := Line("first \x1b[2J\r\nan \u009b1m\u202e支払い \a"); got != "first \uFFFD[2J an \uFFFD1m\uFFFD支払い \uFFFD" {
		t.Errorf("%q", got)
	}
}
