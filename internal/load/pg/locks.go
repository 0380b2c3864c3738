package pg

// The advisory locks of the archive.
const (
	// OwnerLocks is the class of the locks that show which processes are alive; the
	// second key is the process's number.
	OwnerLocks = 0x61726368 // "arch"

	// DayLocks is the class of the locks under which a day's table is created or
	// dropped, so that two processes never work on one day; the second key is the
	// day's number.
	DayLocks = 0x61727074 // "arpt"

	// CommitLock is held shared by every commit, and exclusively by a commit that is
	// made again: no other transaction interferes a second time.
	CommitLock = 0x61726368636f6d6d // "archcomm"

	// FiguresLock is held by the one process that counts figures.
	FiguresLock = 0x6172636866696775 // "archfigu"
)

// LockTotals comes before the first window that a transaction writes, and after the
// fence of its claims: it locks the totals of the windows' functions, in the order of
// their ids. Only the holder writes windows of these functions, so this cannot
// deadlock.
const LockTotals = `
	SELECT
	  FROM archiver_internal.window_totals
	 WHERE function_id = ANY ($1::integer[])
	 ORDER BY function_id
	   FOR NO KEY UPDATE`

// LockAllTotals locks the totals of all functions.
const LockAllTotals = `SELECT FROM archiver_internal.window_totals ORDER BY function_id FOR NO KEY UPDATE`
