package page

import (
	"fmt"
	"testing"
	"time"
)

// hostile is a function's name with markup.
const hostile = `"><script>document.title='taken'</script><img src=//example.com/x onerror=alert(1)>`

// story is an archive of some months with examples of most states.
func story(t testing.TB) *archiveDB {
	a := newArchive(t)
	due := at(0, 7)
	ids := make(map[string]int32)
	for i, name := range []string{
		"checkout-capture", "checkout-refund", "orders-export", "orders-import", "invoice-render", "invoice-send",
		"media-thumbnail", "media-transcode", "search-index", "search-suggest", "users-welcome", "users-purge",
		"stock-sync", "stock-alert", "billing-meter", "billing-close", "audit-forward", "report-nightly",
		"webhook-deliver", "webhook-retry", "geo-lookup", "legacy-bridge", "beta-assistant", "mail-digest",
	} {
		id := a.function(name)
		ids[name] = id
		from := at(200, 0)
		if name == "beta-assistant" {
			from = at(17, 12)
		}
		a.windows(id, from, due, 40+i*37%400)
	}
	const down = "list invocations of %s: 500 FSS.0500, request 7c1f2a90: the service is busy, seven tries"
	for _, name := range []string{"checkout-capture", "checkout-refund", "orders-export", "orders-import", "stock-sync"} {
		a.state(ids[name], at(3, 13), at(3, 18), "failed", fmt.Sprintf(down, name))
	}
	a.state(ids["media-transcode"], at(26, 4), at(26, 7), "short", "the source counts 412 records and gave 397")
	a.state(ids["billing-meter"], at(1, 20), at(1, 23), "short", "the source counts 96 records and gave 91")
	a.state(ids["legacy-bridge"], at(9, 0), due, "gone", "")
	a.exec(`UPDATE functions SET gone_at = $2 WHERE function_id = $1`, ids["legacy-bridge"], due)
	a.state(ids["audit-forward"], at(5, 6), due, "complete", "")
	a.exec(`
		INSERT INTO archiver_internal.notification_setting_versions (function_id, provider, region, project_id, function_urn, valid_from, seen_at, enable_async_status_log, raw)
		SELECT function_id, provider, region, project_id, function_urn, $2, $2, false, '{}'
		  FROM functions WHERE function_id = $1`, ids["audit-forward"], at(5, 6))
	for _, name := range []string{"media-transcode", "report-nightly", "billing-close"} {
		a.exec(`UPDATE archiver_internal.windows SET pending = 3 WHERE function_id = $1 AND window_start >= $2 AND records > 3`, ids[name], at(0, 0))
	}
	a.exec(`DELETE FROM archiver_internal.windows WHERE function_id = $1 AND window_start >= $2`, ids["mail-digest"], at(0, 1))
	a.state(ids["geo-lookup"], at(0, 4), due, "pending", "")
	a.figures()
	a.run("run", at(0, 8), 40*time.Second, "28 of 52 windows are not complete: 25 failed, 3 short")
	a.run("run", at(0, 9), 12*time.Second, "")
	a.exec(`
		INSERT INTO runs (asked_by, range_from, range_to, started_at, seen_at, windows_planned, windows_done, records_done, calls_done, refused_done)
		VALUES ('backfill', $1, $2, $3, $4, 41760, 15200, 1284000, 9120, 4)`,
		at(365, 0), at(290, 0), now.Add(-12*time.Minute), now.Add(-3*time.Second))
	a.exec(`ANALYZE`)
	return a
}

// hostile adds a function, an error and a run with markup in their texts.
func (a *archiveDB) hostile() {
	id := a.function(hostile)
	a.windows(id, at(12, 0), at(0, 7), 20)
	a.state(id, at(2, 3), at(2, 4), "failed", hostile)
	a.run("backfill", at(0, 7), time.Minute, hostile)
}

// run adds a finished run, with or without an error.
func (a *archiveDB) run(by string, began time.Time, took time.Duration, said string) {
	a.t.Helper()
	a.source("shop", "p")
	a.exec(`
		INSERT INTO runs (asked_by, source_id, range_from, range_to, started_at, finished_at, seen_at, windows, complete, records, calls, outcome, error)
		SELECT $1, source_id, $2::timestamptz - interval '30 days', $2, $2, $3, $3, 52, 24, 4180, 77, CASE WHEN $4 = '' THEN 'complete' ELSE 'incomplete' END, NULLIF($4, '')
		  FROM archiver_internal.source_notes WHERE name = 'shop'`,
		by, began.Add(7*time.Minute), began.Add(7*time.Minute+took), said)
	if by != "backfill" {
		a.exec(`
			UPDATE archiver_internal.source_notes
			   SET last_seen = $1, pass_every = interval '1 hour', next_attempt_at = $1::timestamptz + interval '1 hour', due_by = $1::timestamptz + interval '135 minutes'
			 WHERE name = 'shop'`, began.Add(7*time.Minute))
	}
}
