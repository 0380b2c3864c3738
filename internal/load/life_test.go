package load

import (
	"testing"
	"time"

	"archiver/internal/archive"
)

// How long a record may be in flight is the source's own: records are followed, and their
// earlier versions looked up, for as long.
func TestMaxLife(t *testing.T) {
	t.Parallel()
	const days = 24 * time.Hour
	for name, test := range map[string]struct {
		life     time.Duration // of the function
		rows     int           // of a record that comes back with a start six days later
		followed bool          // six days after its window
	}{
		"unknown": {0, 2, false}, "four days": {archive.MaxLife, 2, false}, "eight days": {8 * days, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			f := a.Function("f")
			f.MaxLife = test.life
			c := a.claim(f)
			commit(t, c, lastPage(span(0, 1), hour(1), record("waits", archive.StatusWait, hour(0)), record("r", archive.StatusFail, hour(0))))
			if _, err := c.Rechecked(t.Context(), []time.Time{hour(0)}, hour(0).Add(6*days)); err != nil {
				t.Fatal(err)
			}
			if followed := value[bool](a, `SELECT recheck_at IS NOT NULL FROM windows`); followed != test.followed {
				t.Errorf("followed after six days: %t", followed)
			}
			if err := c.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			at := hour(0).Add(6 * days)
			commit(t, a.claim(f), lastPage(hours(at, 1), at.Add(archive.Hour), record("r", archive.StatusSuccess, at)))
			if n := value[int](a, `SELECT count(*) FROM invocations WHERE request_id = 'r'`); n != test.rows {
				t.Errorf("%d rows, want %d", n, test.rows)
			}
		})
	}
}
