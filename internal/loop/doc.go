// Package loop brings the records of a source into the archive. Package archive
// defines the words that are used here.
//
// Begin with Archiver.Archive in run.go. A record passes through these files, and this
// is the order in which to read them:
//
//	run.go        list the functions, plan what is due, start the workers
//	queue.go      which function comes next
//	function.go   claim one function, read its spans one after the other
//	span.go       read one span, and note how that ended
//	walk.go       span → pages, walked again if pages drifted
//	slots.go      how many pages may be asked for and not yet committed
//	keep.go       pages → commits, while the next pages are asked for
//	reconcile.go  compare what a walk saw with what the source counts
//	follow.go     ask again for records in flight
//	verify.go     compare the archive's counts with the source's
//
// reread.go, settings.go, versions.go, note.go and grace.go serve these.
package loop
