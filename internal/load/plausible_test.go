package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// A record whose times cannot be true is kept with the hour that was read: it makes no
// partition of its own, and retention drops it together with this hour.
func TestTimesThatAreNotPlausible(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	long := time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC)
	records := []archive.Invocation{
		{RequestID: "epoch", Status: archive.StatusSuccess, Start: long, End: hour(1).Add(time.Minute)},
		{RequestID: "far", Status: archive.StatusSuccess, Start: time.Date(292_277_026, 1, 1, 0, 0, 0, 0, time.UTC), Extra: []byte(`{"a": 1}`)},
		{RequestID: "end", Status: archive.StatusFail, Start: hour(0), End: long},
		{RequestID: "waits", Status: archive.StatusWait, Start: long},
		record("true", archive.StatusSuccess, hour(0)),
		record("old", archive.StatusSuccess, hour(0).AddDate(0, -6, 0)),
	}
	b := lastPage(span(0, 2), noted, records...)
	commit(t, c, b)
	if records[0].Start != long {
		t.Error("the caller's records were changed")
	}
	const rows = `
		SELECT request_id, start_time AT TIME ZONE 'UTC', end_time AT TIME ZONE 'UTC', queried_window AT TIME ZONE 'UTC', extra
		  FROM invocations
		 ORDER BY request_id`
	want := []string{
		`(end,"2026-03-14 00:00:00",,,"{""archiver.end_time"": ""1970-01-01T00:00:01Z""}")`,
		`(epoch,,"2026-03-14 01:01:00","2026-03-14 01:00:00","{""archiver.start_time"": ""1970-01-01T00:00:01Z""}")`,
		`(far,,,"2026-03-14 01:00:00","{""a"": 1, ""archiver.start_time"": ""292277026-01-01T00:00:00Z""}")`,
		`(old,"2025-09-14 00:00:00",,,)`,
		`(true,"2026-03-14 00:00:00",,,)`,
		`(waits,,,"2026-03-14 01:00:00","{""archiver.start_time"": ""1970-01-01T00:00:01Z""}")`,
	}
	if diff := cmp.Diff(want, a.Rows(rows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.CheckWindows()
	if kept := commit(t, c, b); kept.Unchanged != len(records) {
		t.Errorf("read again: %+v", kept)
	}
	if n, err := c.Missing(t.Context(), span(0, 2), records); err != nil || n != 0 {
		t.Errorf("%d are missing, %v", n, err)
	}
	// The record that waited has ended, still with that start.
	r := archive.InFlightRecord{RequestID: "waits", Window: hour(1)}
	ended := archive.Invocation{RequestID: "waits", Status: archive.StatusSuccess, Start: long}
	if kept, err := c.Follow(t.Context(), r, []archive.Invocation{ended}, nil, later); err != nil || kept.Updated != 1 {
		t.Errorf("followed: %+v, %v", kept, err)
	}
	a.CheckWindows()

	// Retention of the year before drops what started then, and nothing of the hour.
	if err := a.Days.Retain(t.Context(), today.AddDate(0, 0, -30)); err != nil {
		t.Fatal(err)
	}
	if n := value[int](a, `SELECT count(*) FROM invocations WHERE request_id <> 'old'`); n != 5 {
		t.Errorf("%d records are left", n)
	}
	a.CheckWindows()
	if err := a.Days.Retain(t.Context(), today.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if left := a.Rows(`SELECT request_id FROM invocations`); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	a.CheckWindows()
}
