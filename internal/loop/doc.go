// Package loop brings the records of a source into the archive. Package archive
// defines the words that are used here.
//
// Begin with Archiver.Archive in run.go. The way of a record, and the files in the
// order in which they are best read:
//
//	run.go        list the functions, plan what is due, share it among workers
//	queue.go      which function comes next
//	function.go   claim one function, walk its spans, one after the other
//	walk.go       span → pages, walked again where pages drifted
//	slots.go      how many pages may be in hand
//	keep.go       pages → commits, while the next pages are asked for
//	reconcile.go  compare what a walk saw with what the source counts
//	follow.go     ask again for records in flight
//	verify.go     compare the archive's counts with the source's
//
// reread.go, settings.go, versions.go, note.go and grace.go serve these.
package loop
