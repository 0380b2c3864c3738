package pg

// Every transaction takes its locks in this order, so that two transactions do not
// deadlock:
//
//  1. FiguresLock, if the transaction counts figures.
//  2. Rows of claims. A commit locks the claims of its own functions. Retention
//     locks the claims of functions with a walk through the day.
//  3. CommitLock. A commit takes it shared; a commit that is tried again, and
//     retention, take it exclusively.
//  4. Rows of window_writers, in the order of function_id. A transaction that
//     writes windows first locks the rows of their functions. Then no other
//     transaction writes windows of these functions. The triggers write window_days
//     under the same locks.
//  5. All other rows: windows in the order of function_id and window_start,
//     invocations in the order of request_id, functions with the latest version
//     before its other versions. Settings are under a lock of their table, taken
//     before the rows of functions.
//
// Two statements of retention break this order: it locks the table of its day before
// the claims, and its DETACH waits for everyone who read the parent table. Their
// lock_timeout is shorter than deadlock_timeout, so they give up before PostgreSQL
// cancels a commit.
//
// The lock of a day or a month is held while its table is created, dropped or indexed.
// A new table is created under the locks of its day and then of its month, and days are
// merged under RetentionLock and the locks of their month and of all its days. A commit
// creates its days before it takes any of the locks above.
const (
	// OwnerLocks is the class of the locks that show which processes are alive; the
	// second key is what DB.Live returns.
	OwnerLocks = 0x61726368 // "arch"

	// DayLocks is the class of the locks of days; their number is that of the day since
	// 1970. See Lock.
	DayLocks = 0x61727074 // "arpt"

	// MonthLocks is the class of the locks of months; their number is that of the month
	// since 1970.
	MonthLocks = 0x6172706d // "arpm"

	// RetentionLock is the class of one lock, of number 0. It is held by the one session
	// that drops or merges days.
	RetentionLock = 0x61727274 // "arrt"
)

// Lock is the statement that calls a function of advisory locks for a lock of this
// archive. Its parameters are the class and the number of the lock. Another archive of
// the database has other locks: the number of its table windows is another one.
func Lock(function string) string {
	return `SELECT ` + function + `(hashint8extended(($1::bigint << 32) | ($2::bigint & 4294967295), 'windows'::regclass::oid::bigint))`
}

// The locks of transactions are locks of tables: any role can take an advisory lock, and
// would stop all commits with it.
const (
	// CommitLock keeps all other commits out while a commit is tried again.
	CommitLock = `LOCK TABLE commit_lock IN EXCLUSIVE MODE`

	// SharedCommitLock is held by every other commit.
	SharedCommitLock = `LOCK TABLE commit_lock IN ROW SHARE MODE`

	// FiguresLock is held by the one transaction that counts figures.
	FiguresLock = `LOCK TABLE figures_lock IN EXCLUSIVE MODE`
)

// LockWindows locks the windows of functions. It stands after the check of the
// claims and before the first write to windows.
const LockWindows = `
	SELECT
	  FROM window_writers
	 WHERE function_id = ANY ($1::integer[])
	 ORDER BY function_id
	   FOR NO KEY UPDATE`

// LockAllWindows locks the windows of all functions.
const LockAllWindows = `SELECT FROM window_writers ORDER BY function_id FOR NO KEY UPDATE`
