package read_test

import (
	"fmt"
	"testing"
	"time"

	"archiver/internal/load"
	"archiver/internal/load/loadtest"
)

// The size is that of all tables; its growth that of the days that have ended.
func TestSize(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	now := loadtest.Today.Add(12 * time.Hour)
	empty, err := a.Read.Size(t.Context(), now)
	if err != nil || empty.Bytes == 0 || empty.BytesADay != 0 {
		t.Errorf("an empty archive: %+v, %v", empty, err)
	}
	c := a.NewClaim("f")
	for day := range 9 { // today, the seven days before, and one more
		span := loadtest.Hours(loadtest.Today.AddDate(0, 0, -day), 1)
		records := 500
		if day == 0 || day == 8 {
			records = 5_000
		}
		loadtest.Commit(t, c, loadtest.LastPage(span, loadtest.Later, loadtest.Many(records, span, fmt.Sprintf("d%d-", day))...))
	}
	size, err := a.Read.Size(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	const days = `SELECT sum(pg_total_relation_size(('archiver_days.invocations_' || to_char(day, 'YYYYMMDD'))::regclass))::bigint
		FROM generate_series($1::timestamptz - interval '7 days', $1::timestamptz - interval '1 day', interval '1 day') AS day`
	if want := loadtest.Value[int64](a, days, loadtest.Today); size.BytesADay != want/7 && size.BytesADay != want/7+1 {
		t.Errorf("%d bytes a day, want %d", size.BytesADay, want/7)
	}
	if want := loadtest.Value[int64](a, `SELECT pg_database_size(current_database())`); size.Bytes <= empty.Bytes || size.Bytes >= want {
		t.Errorf("%d bytes, of %d in the database, %d before", size.Bytes, want, empty.Bytes)
	}
}
