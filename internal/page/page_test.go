package page

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var rowPattern = regexp.MustCompile(`(?s)<tr><th class="name" scope="row">.*?<bdi[^>]*>(.*?)</bdi>(.*?)</tr>`)

// mapOf returns the page's map: for each function one letter per column (the
// class of its state, "." if nothing is expected), and the share in quarters if
// it is not the whole cell.
func mapOf(page string) map[string]string {
	rows := make(map[string]string)
	for _, row := range rowPattern.FindAllStringSubmatch(page, -1) {
		var b strings.Builder
		for _, cell := range strings.Split(row[2], "<td")[1:] {
			class := "."
			if rest, ok := strings.CutPrefix(cell, ` class="`); ok {
				class, _, _ = strings.Cut(rest, `"`)
			}
			b.WriteString(strings.ReplaceAll(class, " q", ""))
		}
		rows[row[1]] = b.String()
	}
	return rows
}

// Each state has a cell by hour. By day and week, the cell shows the worst
// state with its share.
func TestStates(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	from, to := at(3, 0), at(0, 0)
	add := func(name string) int32 {
		id := a.function(name)
		a.windows(id, from, to, 100)
		return id
	}
	add("complete")
	a.state(add("failed"), at(2, 1), at(2, 3), "failed", "down")
	a.state(add("short"), at(2, 1), at(2, 14), "short", "less")
	a.state(add("pending"), at(2, 1), at(2, 2), "pending", "")
	a.state(add("partial"), at(2, 1), at(2, 2), "partial", "")
	a.state(add("gone"), at(2, 1), at(2, 2), "gone", "")
	a.exec(`UPDATE archiver_internal.windows SET pending = 1 WHERE function_id = $1 AND window_start = $2`, add("in flight"), at(2, 1))
	a.exec(`DELETE FROM archiver_internal.windows WHERE function_id = $1 AND window_start = $2`, add("hole"), at(2, 1))
	a.exec(`DELETE FROM archiver_internal.windows WHERE function_id = $1 AND window_start < $2`, add("young"), at(2, 3))
	old := add("went away")
	a.exec(`DELETE FROM archiver_internal.windows WHERE function_id = $1 AND window_start >= $2`, old, at(2, 3))
	a.exec(`UPDATE functions SET gone_at = $2 WHERE function_id = $1`, old, at(2, 3))
	off := add("off")
	a.exec(`UPDATE archiver_internal.windows SET records = 0 WHERE function_id = $1 AND window_start = $2`, off, at(2, 1))
	a.exec(`
		INSERT INTO archiver_internal.notification_setting_versions (function_id, provider, region, project_id, function_urn, valid_from, seen_at, enable_async_status_log, raw)
		SELECT function_id, provider, region, project_id, function_urn, $2, $2, false, '{}'
		  FROM functions WHERE function_id = $1`, off, at(2, 0))
	unread := add("not since")
	a.exec(`DELETE FROM archiver_internal.windows WHERE function_id = $1 AND window_start >= $2`, unread, at(0, -2))
	a.function("never planned")

	c := func(n int) string { return strings.Repeat("c", n) }
	want := map[string]string{
		"complete": c(24), "failed": "cff" + c(21), "short": "c" + strings.Repeat("s", 13) + c(10),
		"pending": "cn" + c(22), "partial": "cn" + c(22), "gone": "cg" + c(22), "in flight": "ci" + c(22),
		"hole": "cn" + c(22), "young": "..." + c(21), "went away": "ccc" + strings.Repeat(".", 21),
		"off": "co" + c(22), "not since": c(24), "never planned": strings.Repeat(".", 24),
	}
	day2 := at(2, 0).Format(time.DateOnly)
	if diff := cmp.Diff(want, mapOf(a.get("/?zoom=day&at="+day2))); diff != "" {
		t.Errorf("by hour (-want +got):\n%s", diff)
	}
	// The month ends with the day after: three days are shown, and 27 are
	// blank.
	blank := strings.Repeat(".", 27)
	want = map[string]string{
		"complete": "ccc", "failed": "cf1c", "short": "cs3c", "pending": "cn1c", "partial": "cn1c", "gone": "cg1c", "in flight": "ci1c",
		"hole": "cn1c", "young": ".cc", "went away": "cc.", "off": "co1c", "not since": "ccn1", "never planned": "...",
	}
	got := mapOf(a.get("/?zoom=month&at=" + at(1, 0).Format(time.DateOnly)))
	for name := range want {
		want[name] = blank + want[name]
	}
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == `["not since"]` }, cmp.Ignore())); diff != "" {
		t.Errorf("by day (-want +got):\n%s", diff)
	}
	// After a backfill only, nothing is expected after the last planned hour.
	// After a run, all settled hours are expected.
	const shown = "/?zoom=week&q=not+since"
	if got := mapOf(a.get(shown))["not since"]; !strings.HasSuffix(got, "cc..") || strings.Contains(got, "n") {
		t.Errorf("without runs, the map shows %s", got)
	}
	a.run("run", at(0, 5), time.Minute, "")
	got7 := mapOf(a.get(shown))["not since"]
	if tail := got7[len(got7)-26:]; tail != "nn"+strings.Repeat("n", 7)+strings.Repeat(".", 17) {
		t.Errorf("the map shows %s", tail)
	}
	page := a.get("/?zoom=week")
	for _, said := range []string{"not planned yet", "status log off since 2026-03-12 00:00Z: the source keeps no records", "failed: down", "partly read"} {
		if !strings.Contains(page, said) {
			t.Errorf("the page lacks %q", said)
		}
	}
}

// A resting function, which has been empty for long, is not late. After the
// rest it is.
func TestRestingFunction(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.windows(a.function("quiet"), at(10, 0), at(0, 2), 0)
	a.run("run", at(0, 9), time.Second, "")
	verdict := func() string {
		m, err := a.page.model(t.Context(), request{page: 1})
		if err != nil {
			t.Fatal(err)
		}
		return m.Verdict.Text
	}
	if got := verdict(); got != "Every hour that is due is archived." {
		t.Errorf("for a resting function the verdict is %q", got)
	}
	a.windows(a.function("busy"), at(10, 0), at(0, 2), 100)
	a.windows(a.function("quiet for too long"), at(10, 0), at(0, 1), 0)
	if got := verdict(); got != "11 hours of 2 functions are not archived yet." {
		t.Errorf("the verdict is %q", got)
	}
	day := a.get("/?zoom=day&at=" + now.Format(time.DateOnly))
	want := map[string]string{
		"quiet": "cc" + strings.Repeat(".", 22),
		"busy":  "cc" + strings.Repeat("n", 5) + strings.Repeat(".", 17), "quiet for too long": "c" + strings.Repeat("n", 6) + strings.Repeat(".", 17),
	}
	if diff := cmp.Diff(want, mapOf(day)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Hours for which no run was asked, between other hours, are reported
// separately from late hours.
func TestNeverRequested(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.run("run", at(0, 9), time.Second, "")
	holed := a.function("holed")
	a.windows(holed, at(60, 0), at(50, 0), 100)
	a.windows(holed, at(40, 0), at(0, 7), 100)
	a.windows(a.function("whole"), at(40, 0), at(0, 7), 100)
	said := func(want verdict) {
		t.Helper()
		m, err := a.page.model(t.Context(), request{page: 1})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.Verdict); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	const never = "No run was asked for 240 hours of 1 function between other hours: only archiver backfill reads them."
	said(verdict{"wait", "Every hour that a run was asked for is archived.", never})
	if page := a.get("/?zoom=day&at=" + at(45, 0).Format(time.DateOnly)); mapOf(page)["holed"] != strings.Repeat("n", 24) || !strings.Contains(page, "no run was asked for it") {
		t.Error("the map or its legend does not show the hours")
	}
	a.state(holed, at(3, 0), at(3, 1), "pending", "")
	said(verdict{"wait", "1 hour of 1 function is not archived yet.", "The oldest is 11 Mar 2026, 00:00 UTC, 3 days ago. " + never})
}

// The most urgent hours come first, with the time until the source deletes
// them.
func TestAtRisk(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for i, days := range []int{31, 28, 24, 4} {
		id := a.function(fmt.Sprint("late-", days))
		a.windows(id, at(40, 0), at(0, 7), 10)
		a.state(id, at(days, 3), at(days, 4+i), "failed", fmt.Sprint("error ", i))
	}
	m, err := a.page.model(t.Context(), request{page: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range m.Risks {
		got = append(got, strings.Join([]string{r.Name, r.Left, r.Class, r.Hour, r.Why, r.More}, "|"))
	}
	want := []string{
		"late-31|may be deleted already|bad|11 Feb 2026, 03:00|failed: error 0|",
		"late-28|in 43 hours|bad|14 Feb 2026, 03:00|failed: error 1|and 1 later hour",
		"late-24|in 6 days|wait|18 Feb 2026, 03:00|failed: error 2|and 2 later hours",
		"late-4|in 26 days||10 Mar 2026, 03:00|failed: error 3|and 3 later hours",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := (verdict{"bad", "10 hours of 4 functions are not archived yet.",
		"The oldest is 11 Feb 2026, 03:00 UTC, 31 days ago. 10 failed, 0 short: later runs try them again."}); m.Verdict != want {
		t.Errorf("the verdict is %v", m.Verdict)
	}
}

// Errors that differ only by the function and the request are shown as one.
func TestErrorsAlike(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for i := range 5 {
		name := fmt.Sprint("orders-", i)
		id := a.function(name)
		a.windows(id, at(2, 0), at(0, 7), 10)
		a.state(id, at(1, i), at(1, i+1), "failed", fmt.Sprintf("list invocations of %s: 500, request 7c1f%04d-aa: busy", name, i))
	}
	a.state(a.function("orders-1"), at(1, 9), at(1, 10), "failed", "403: no permission")
	m, err := a.page.model(t.Context(), request{page: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []errorGroup{
		{"403: no permission", "orders-1", "13 Mar 2026, 09:00 UTC"},
		{"list invocations of orders-4: 500, request 7c1f0004-aa: busy", "orders-4 and 3 other functions", "13 Mar 2026, 04:00 UTC"},
	}
	if diff := cmp.Diff(want, m.Errors); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Running runs are distinguished from runs whose process died.
func TestRunningAndDeadRuns(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for _, seen := range []time.Duration{5 * time.Second, 5 * time.Minute} {
		a.exec(`
			INSERT INTO runs (asked_by, range_from, range_to, started_at, seen_at, windows_planned, windows_done, records_done, calls_done, refused_done)
			VALUES ('backfill', $1, $2, $3, $4, 400, 100, 60000, 130, 0)`, at(9, 0), at(8, 0), now.Add(-10*time.Minute-5*time.Second), now.Add(-seen))
	}
	for range 2 * maxRuns {
		a.run("run", at(1, 0), time.Second, "")
	}
	a.exec(`UPDATE runs SET clocks = 'clocks differ by 6m0s'`)
	m, err := a.page.model(t.Context(), request{page: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []runningRun{{
		Title: "backfill of 5 Mar 2026 00:00 to 6 Mar 2026 00:00", Done: 100, Due: 400, Share: "25 %",
		Details: "began 10 min ago · clocks differ by 6m0s · 100 of 400 windows · 60,000 records · 130 calls · 100 records a second · about 30 min left",
	}}
	if diff := cmp.Diff(want, m.Running); diff != "" {
		t.Errorf("running (-want +got):\n%s", diff)
	}
	if len(m.Runs) != maxRuns {
		t.Errorf("%d runs are shown, want %d", len(m.Runs), maxRuns)
	}
	if r := m.Runs[0]; r.Outcome != "complete" || r.Class != "wait" || r.Error != "clocks differ by 6m0s" {
		t.Errorf("the last run is %+v", r)
	}
	a.exec(`DELETE FROM runs WHERE asked_by = 'run'`)
	if m, err = a.page.model(t.Context(), request{page: 1}); err != nil || len(m.Runs) != 1 || m.Runs[0].Outcome != "died" {
		t.Errorf("the dead run: %+v, %v", m.Runs, err)
	}
}

// The page is read-only, and has strict security headers.
func TestAnswers(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.function("f")
	ask := func(method, path, encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		a.page.ServeHTTP(w, r)
		return w
	}
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/", 200}, {http.MethodHead, "/", 200}, {http.MethodPost, "/", 405}, {http.MethodDelete, "/", 405},
		{http.MethodGet, "/?zoom=nonsense&at=yesterday&page=-4&q=%00%ff", 200}, {http.MethodGet, "/?at=0001-01-01&page=99999999999999999999", 200},
		{http.MethodGet, "/?zoom=year&at=2199-12-31&page=7", 200}, {http.MethodGet, "/?q=" + strings.Repeat("x", 5000), 200},
	} {
		resp := ask(test.method, test.path, "")
		if resp.Code != test.want || test.method == http.MethodHead && resp.Body.Len() > 0 {
			t.Errorf("%s %s: %d, %d bytes; want %d", test.method, test.path, resp.Code, resp.Body.Len(), test.want)
		}
	}
	h := ask(http.MethodGet, "/", "").Header()
	if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") {
		t.Errorf("content security is %q", csp)
	}
	if h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers are %v", h)
	}
	zipped := ask(http.MethodGet, "/", "gzip, br")
	unzip, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := io.ReadAll(unzip); err != nil || zipped.Header().Get("Content-Encoding") != "gzip" || !strings.HasSuffix(string(page), "</html>\n") {
		t.Errorf("the compressed page is not complete: %v", err)
	}
}

// Without a database the page reports it, without private details.
func TestDown(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.exec(`DROP TABLE archiver_internal.window_days CASCADE`)
	a.exec(`ALTER TABLE functions RENAME TO secret_table`)
	w := httptest.NewRecorder()
	a.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "The database does not answer.") ||
		strings.Contains(w.Body.String(), "SQLSTATE") || strings.Contains(w.Body.String(), "functions") {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
	if err := a.page.Report(context.Background(), io.Discard); err == nil {
		t.Error("Report succeeds without a database")
	}
}

// Functions are divided into pages, functions with problems first.
func TestPages(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for i := range 95 {
		id := a.function(fmt.Sprintf("f%02d", i))
		a.windows(id, at(1, 0), at(0, 7), 5)
		if i == 77 {
			a.state(id, at(1, 3), at(1, 4), "failed", "down")
		}
		if i == 78 {
			a.state(id, at(1, 1), at(1, 2), "pending", "")
		}
	}
	seen := make(map[string]bool)
	for page, want := range []int{40, 40, 15} {
		rows := rowPattern.FindAllStringSubmatch(a.get(fmt.Sprintf("/?page=%d", page+1)), -1)
		if len(rows) != want {
			t.Errorf("page %d has %d functions, want %d", page+1, len(rows), want)
		}
		for i, row := range rows {
			seen[row[1]] = true
			if first := []string{"f77", "f78", "f00"}; page == 0 && i < 3 && row[1] != first[i] {
				t.Errorf("function %d is %s, want %s", i, row[1], first[i])
			}
		}
	}
	if len(seen) != 95 {
		t.Errorf("%d functions are shown, want 95", len(seen))
	}
}
