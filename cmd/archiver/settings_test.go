package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/metrics"
	"archiver/internal/page"
	"archiver/internal/simulate/dataset"
)

// Hourly passes over two days, through the real SDK. Settings change every ten hours,
// and a status log is switched off between two changes. SQL shows the settings that
// the source gave; each function is asked once a day; hours without a status log are
// off.
func TestSettingsAreArchived(t *testing.T) {
	t.Parallel()
	start := day.Add(12*time.Hour + 30*time.Minute)
	clock := clocktest.New(start)
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 3, Invocations: 3000, Seed: 1}, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	api := faulty(t, data, "log-off=0.3,log-off-after=30h,settings-change=10h", clock.Now)
	web := newServer(t, api)
	in := install(t, web)
	archiver := in.inProcess(web, clock)
	before := api.Stats()
	for pass := range 49 {
		due := archive.DueBefore(clock.Now(), archiver.Settle)
		order := archive.Order{AskedBy: "run", Older: true, Follow: true, Range: archive.Span{From: due.Add(-6 * time.Hour), To: due}}
		if _, err := archiver.Archive(within(t), order, new(archive.Progress)); err != nil {
			t.Fatal(err)
		}
		days := int64(pass/24 + 1)
		if asked := api.Stats().ListFunctionAsyncInvokeConfig - before.ListFunctionAsyncInvokeConfig; asked != 3*days {
			t.Fatalf("after pass %d settings were asked for %d times, want %d", pass, asked, 3*days)
		}
		clock.Advance(time.Hour)
	}

	// The source was asked at 0, 24 and 48 h. The settings changed at 20 and 40 h, the
	// status log at 30 h. Settings that held only between two questions were not seen.
	off := ""
	want := map[string]string{}
	for i, f := range api.Functions() {
		at := func(d time.Duration) string { return start.Add(d).UTC().Format("01-02 15:04") }
		history := "3 true 02-26 00:00 to " + at(20*time.Hour) +
			", 5 true " + at(20*time.Hour) + " to " + at(40*time.Hour)
		if set := api.Setting(i); set.Log {
			history += ", 7 true " + at(40*time.Hour)
		} else {
			off = f.Name
			history += ", 7 false " + at(40*time.Hour)
		}
		want[f.URN] = history
	}
	if off == "" {
		t.Fatal("no function is off")
	}
	got := texts(in, `
		SELECT function_urn, string_agg(concat_ws(' ', max_async_retry_attempts, CASE WHEN enable_async_status_log THEN 'true' ELSE 'false' END,
		       to_char(valid_from AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), 'to ' || to_char(valid_to AT TIME ZONE 'UTC', 'MM-DD HH24:MI')), ', ' ORDER BY valid_from)
		  FROM notification_settings_history
		 GROUP BY 1`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-source +archive):\n%s", diff)
	}
	if n := queryValue[int64](in, `
		SELECT count(*)
		  FROM invocation_history i
		  LEFT JOIN notification_settings_history s
		    ON s.provider = i.provider AND s.function_urn = i.function_urn
		   AND s.valid_from <= i.start_time AND (s.valid_to IS NULL OR s.valid_to > i.start_time)
		 WHERE s.max_async_retry_attempts IS DISTINCT FROM CASE
		       WHEN i.start_time < $1::timestamptz + interval '20 hours' THEN 3
		       WHEN i.start_time < $1::timestamptz + interval '40 hours' THEN 5 ELSE 7 END`, start); n != 0 {
		t.Errorf("%d invocations are said to have had other settings than they had", n)
	}
	// 40:30 after midnight is the first whole hour that is known to be off.
	for urn, first := range texts(in, `
		SELECT function_urn, COALESCE(min(window_start) FILTER (WHERE state = 'off')::text, 'never')
		  FROM window_coverage
		 GROUP BY 1`) {
		wanted := "never"
		if strings.Contains(urn, off) {
			wanted = start.Add(40 * time.Hour).Truncate(time.Hour).Add(time.Hour).Format("2006-01-02 15:04:05+00")
		}
		if first != wanted {
			t.Errorf("%s is off from %s on, not %s", urn, first, wanted)
		}
	}

	said := "status log off since " + start.Add(40*time.Hour).Format("2006-01-02 15:04Z") + ": the source keeps no records"
	code, stdout, stderr := in.run(nil, "status")
	if code != exitDone || strings.Count(stdout, said) != 1 || !strings.Contains(stdout, "windows are off") {
		t.Errorf("status: exit %d\n%s%s", code, stdout, stderr)
	}
	db, err := pg.Open(within(t), in.database, 1, archiver.Log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	store := read.New(db)
	shown := httptest.NewRecorder()
	webPages(store.Ping, statusPage(store, keptFor(30*24*time.Hour), archiver.Log), metrics.New("test"), archiver.Log).ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/", nil))
	if strings.Count(shown.Body.String(), said) != 1 {
		t.Errorf("page:\n%s", shown.Body)
	}
	code, stdout, _ = in.run(nil, "status", "--json")
	var status page.Status
	if err := json.Unmarshal([]byte(stdout), &status); err != nil || code != exitDone {
		t.Fatal(err, stdout)
	}
	for _, f := range status.Functions {
		since := start.Add(40 * time.Hour)
		if isOff := f.OffSince != nil && f.OffSince.Equal(since) && f.Off > 0 && f.Off+f.Complete == f.Windows; isOff != (f.Name == off) {
			t.Errorf("%+v", f)
		}
	}
}

// A user who may not read settings can archive, and gets one warning.
func TestSettingsDenied(t *testing.T) {
	t.Parallel()
	api, _ := simulator(t, generated(t, 5, 1000, 1))
	web := newServer(t, deny(api, "/async-invoke-configs"))
	in := install(t, web)
	archiver := in.inProcess(web, clocktest.New(day.Add(48*time.Hour)))
	var log bytes.Buffer
	archiver.Log = slog.New(slog.NewTextHandler(&log, nil))
	summary, err := archiver.Archive(within(t), archive.Order{AskedBy: "once", Range: archive.Span{From: day, To: day.AddDate(0, 0, 1)}}, new(archive.Progress))
	if err != nil || summary.Complete != 5*24 {
		t.Errorf("%d windows complete, %v", summary.Complete, err)
	}
	if n := strings.Count(log.String(), "settings are denied"); n != 1 || strings.Contains(log.String(), testToken) {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM functions WHERE settings_asked_at IS NOT NULL`); n != 0 {
		t.Errorf("%d functions count as asked", n)
	}
}

// texts returns the second column of a query by the first.
func texts(in *installation, sql string) map[string]string {
	in.t.Helper()
	rows := map[string]string{}
	all := queryValue[[]byte](in, fmt.Sprintf(`SELECT COALESCE(json_object_agg(key, value), '{}') FROM (%s) AS q (key, value)`, sql))
	if err := json.Unmarshal(all, &rows); err != nil {
		in.t.Fatal(err)
	}
	return rows
}
