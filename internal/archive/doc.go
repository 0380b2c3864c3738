// Package archive defines the words of the project. It imports only the
// standard library.
//
//	source      an account's function service in one region
//	function    one function version there
//	invocation  one asynchronous request's record
//	window      one UTC hour of one function; complete is promised of a window
//	span        adjacent windows, asked for in one query
//	page        one answer of the source
//	cursor      where in a query's answer the next page begins
//	walk        one pass through all pages of a span
//	checkpoint  what is known of a window, committed together with its rows
//	setting     how one version of a function is invoked, see settings.go
//	in flight   WAIT or RUNNING; every other status is settled
//
// Begin with invocation.go and window.go, then source.go and store.go. Packages
// below internal/extract implement [Source], package load implements [Store], and
// package loop reads from a Source and writes to a Store. Sources and the database
// import this package, and never each other.
package archive
