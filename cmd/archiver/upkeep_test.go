package main

import "testing"

// Upkeep that is asked for while another one's goes on is left to that one: it
// keeps nobody waiting, and comes after it, once for all that asked.
func TestUpkeepInTurns(t *testing.T) {
	t.Parallel()
	var keeping turns
	var order string
	keeping.do(func() {
		order += "a"
		if order == "a" {
			for range 3 {
				keeping.do(func() { order += "b" })
			}
		}
		order += "."
	})
	keeping.do(func() { order += "c" })
	if order != "a.a.c" {
		t.Error(order)
	}
}
