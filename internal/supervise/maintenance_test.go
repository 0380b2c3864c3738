package supervise

import "testing"

// Callers that come during a pass return at once. After that pass comes one more,
// for all of them.
func TestPasses(t *testing.T) {
	t.Parallel()
	var p passes
	var order string
	p.run(func() {
		order += "a"
		if order == "a" {
			for range 3 {
				p.run(func() { order += "b" })
			}
		}
		order += "."
	})
	p.run(func() { order += "c" })
	if order != "a.a.c" {
		t.Error(order)
	}
}
