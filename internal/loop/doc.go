// Package loop brings the records of a source into the archive. Package archive
// defines the words that are used here.
//
// Begin with Archiver.Archive in run.go. A record passes through these files, and this
// is the order in which to read them:
//
//	run.go        what a run does, and in which order
//	list.go       list the functions
//	workers.go    plan what is due, start the workers
//	queue.go      which function comes next
//	function.go   claim one function, read its spans one after the other
//	span.go       read one span, and deal with what ends the work on a function
//	question.go   what is asked for: a span in seconds, and its halves
//	narrow.go     a question that fails or is not proven → smaller questions
//	edge.go       a begin that the source refuses
//	walk.go       question → pages, walked again if pages drifted
//	page.go       a page that fails → smaller pages
//	slots.go      how many pages may be asked for and not yet committed
//	keep.go       pages → commits, while the next pages are asked for
//	reconcile.go  compare what a walk saw with what the source counts
//	prove.go      is that count to be believed?
//	answer.go     what reading a question led to, and the states of its windows
//	age.go        may the source have forgotten what it does not give?
//	follow.go     ask again for records in flight
//	verify.go     compare the archive's counts with the source's
//
// learned.go, position.go, width.go, clocks.go, patience.go, forecast.go, reread.go, settings.go, versions.go, note.go and
// grace.go serve these.
package loop
