// Package archive owns the words of the project and its one loop; it imports
// nothing but the standard library.
//
//	source      an account's function service in one region
//	function    one function version there
//	invocation  one asynchronous request's record
//	window      one UTC hour of one function, the unit of promise
//	span        windows next to one another, asked for in one query
//	page        one answer of the source
//	cursor      where in a query's answer the next page begins
//	walk        one way through all pages of a span
//	in hand     of a page: asked for, and not yet kept
//	checkpoint  what is known of a window, committed with the rows it speaks of
//	setting     how one version of a function is invoked, see settings.go
//	in flight   WAIT or RUNNING; every other status is settled
//
// The loop, in the order in which the files are best read:
//
//	run.go        discover the functions, plan what is due, share it among workers
//	queue.go      which function comes next
//	function.go   claim one function, walk its spans, one after the other
//	walk.go       span → pages, and again where pages drifted
//	hands.go      how many pages may be in hand
//	keep.go       pages → commits, while the next ones are asked for
//	reconcile.go  is that all of it? what was seen against what the source counts
//
// Sources implement [Source], the database implements [Store]. They know this
// package and never each other.
package archive
