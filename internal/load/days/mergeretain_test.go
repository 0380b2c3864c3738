package days_test

import (
	"strings"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
	"archiver/internal/load/days"
	"archiver/internal/load/loadtest"
)

// While retention waits for a reader of the first day, the month is made by a page of a
// day that had windows but no table. Retention deletes the rows of each day with its
// windows, and no process merges in between.
func TestRetainWhileAMonthIsMade(t *testing.T) {
	t.Parallel()
	a, c := aged(t)
	june, july := may.AddDate(0, 1, 0), may.AddDate(0, 2, 0)
	// Windows of June, without records: June has no table.
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(june, 24), loadtest.Noted))
	s, log := logged(a)
	s.Days.UseClock(clocktest.New(loadtest.Noted))
	end := reader(a, `SELECT count(*) FROM invocations WHERE start_time < '2025-05-02'`)
	ended := make(chan error, 1)
	go func() { ended <- s.Days.Retain(t.Context(), july) }()
	loadtest.Eventually(t, "retention waits for the reader", func() bool { return waiting(a, "^LOCK TABLE") > 0 })
	if err := a.Days.Merge(t.Context(), time.Time{}, untold); err == nil || !strings.Contains(err.Error(), "another process is at work") {
		t.Errorf("merge while retention is at work: %v", err)
	}
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(june, 24), loadtest.Later, loadtest.Many(48, loadtest.Hours(june, 24), "late")...))
	end()
	if err := <-ended; err != nil && !days.IsBlocked(err) {
		t.Fatal(err)
	}
	if err := s.Days.Retain(t.Context(), june.AddDate(0, 0, 1)); err != nil { // what the reader kept
		t.Fatal(err)
	}
	if n := loadtest.Value[int](a, `SELECT count(*) FROM invocations WHERE start_time < $1`, july); n != 0 {
		t.Errorf("%d rows are left without windows:\n%s", n, log)
	}
	a.CheckWindows()
}
