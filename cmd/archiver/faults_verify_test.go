package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/settings"
	"archiver/internal/simulate"
)

// lateRecords returns the number of records that are not archived, by window.
func lateRecords(in *installation, api *simulate.Server) (windows map[string]int) {
	in.t.Helper()
	found := archivedRows(in)
	windows = make(map[string]int)
	for i, f := range api.Functions() {
		for r := range api.Truth(i) {
			if _, there := found[f.Name][r.RequestID]; !there {
				windows[f.Name+" "+archive.WindowOf(r.Start).Format(time.RFC3339)]++
			}
		}
	}
	return windows
}

// TestVerifyFindsWhatIsLate archives a day of which some records show up an
// hour later. archiver verify lists their windows with both numbers, and reads them
// again with --repair. If nothing differs, it makes one call a function, and at most two
// more: the largest count of the source is proven by those of two halves.
func TestVerifyFindsWhatIsLate(t *testing.T) {
	t.Parallel()
	for _, borders := range []string{"both", "none"} {
		t.Run(borders, func(t *testing.T) {
			t.Parallel()
			now := clocktest.New(day.AddDate(0, 0, 2))
			api := faulty(t, generated(t, faultFunctions, faultInvocations, 7), "late=1h,late-share=0.005,borders="+borders, now.Now)
			in := install(t, newServer(t, api))
			// A signature would depend on the clock of the machine.
			in.env = append(append(in.env, "ARCHIVER_AUTH_TOKEN="+testToken), quickly...)
			verify := func(args ...string) (ending, int64) {
				before := api.Stats().ListAsyncInvocations
				args = append([]string{"verify", "--from", "2026-03-29", "--to", "2026-03-30"}, args...)
				code, stdout, stderr := in.run(nil, args...)
				return ending{code, stdout, stderr}, api.Stats().ListAsyncInvocations - before
			}
			in.backfill()
			compareAll(in, api, compared{})
			if end, calls := verify(); end.code != exitDone || calls < faultFunctions || calls > faultFunctions+2 {
				t.Errorf("where nothing differs: exit %d, %d calls\n%s%s", end.code, calls, end.stdout, end.stderr)
			}

			now.Advance(2 * time.Hour)
			late := lateRecords(in, api)
			if len(late) < 5 {
				t.Fatalf("only %d windows have late records: the test shows little", len(late))
			}
			end, _ := verify()
			if end.code != exitIncomplete || !strings.Contains(end.stderr, "--repair") {
				t.Errorf("exit %d, standard error: %s", end.code, end.stderr)
			}
			listsAll(t, end, late)
			if n := queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows WHERE state <> 'complete'`); n != int64(len(late)) {
				t.Errorf("%d windows do not say complete any more, want %d", n, len(late))
			}

			if end, calls := verify("--repair"); end.code != exitDone || calls > int64(faultFunctions+12*len(late)) {
				t.Errorf("repair: exit %d, %d calls for %d windows\n%s%s", end.code, calls, len(late), end.stdout, end.stderr)
			}
			compareAll(in, api, compared{})
			if n := queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows WHERE state <> 'complete'`); n != 0 {
				t.Errorf("%d windows do not say complete after the repair", n)
			}
			if end, calls := verify(); end.code != exitDone || calls < faultFunctions || calls > faultFunctions+2 {
				t.Errorf("after the repair: exit %d, %d calls\n%s%s", end.code, calls, end.stdout, end.stderr)
			}
		})
	}
}

// listsAll checks that verify lists exactly these windows, each with both numbers.
func listsAll(t *testing.T, end ending, late map[string]int) {
	t.Helper()
	listed := 0
	for line := range strings.Lines(end.stdout) {
		fields := strings.Fields(line)
		if len(fields) != 4 || fields[0] == "FUNCTION" {
			continue
		}
		listed++
		n, known := late[fields[0]+" "+fields[1]]
		var archived, counted int
		if _, err := fmt.Sscan(fields[2]+" "+fields[3], &archived, &counted); err != nil || !known || counted-archived != n {
			t.Errorf("listed: %s, want %d records more (%v)", strings.TrimSpace(line), n, err)
		}
	}
	if listed != len(late) {
		t.Errorf("%d windows are listed, want %d:\n%s", listed, len(late), end.stdout)
	}
}

// TestVerifyAfter makes the passes of archiver run with an injected clock. Records that
// the source shows three hours late are found in the pass that verifies, and nothing
// is asked for twice.
func TestVerifyAfter(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(day.Add(24*time.Hour + 15*time.Minute))
	api := faulty(t, generated(t, faultFunctions, faultInvocations, 7), "late=3h,late-share=0.01", clock.Now)
	url := newServer(t, api)
	in := install(t, url)
	archiver := in.inProcess(url, clock)
	due := settings.DueFlags{Lookback: 48 * time.Hour, VerifyAfter: 6 * time.Hour}
	pass := func() (archive.Summary, int64) {
		t.Helper()
		before := api.Stats().ListAsyncInvocations
		summary, err := archiver.Archive(within(t), dueOrder(due, clock.Now(), archiver.Settle), new(archive.Progress))
		if err != nil {
			t.Fatalf("pass at %s: %v", clock.Now(), err)
		}
		return summary, api.Stats().ListAsyncInvocations - before
	}
	if summary, _ := pass(); summary.Complete != 48*faultFunctions {
		t.Fatalf("%d windows complete", summary.Complete)
	}
	found := time.Duration(0)
	began := clock.Now()
	for range 12 {
		clock.Advance(time.Hour)
		summary, calls := pass()
		since := clock.Now().Sub(began)
		late := len(lateRecords(in, api))
		switch {
		case summary.Differ == 0 && summary.Compared == 0 && calls != faultFunctions:
			t.Errorf("after %s: %d calls for a new hour of %d functions", since, calls, faultFunctions)
		case since >= 3*time.Hour && found == 0 && summary.Differ == 0 && late == 0:
			t.Errorf("after %s: no record is late: the test shows nothing", since)
		case summary.Differ > 0 && found == 0:
			found = since
		}
		if found > 0 && late > 0 {
			t.Errorf("after %s: %d windows still lack records", since, late)
		}
	}
	if found < 5*time.Hour || found > 9*time.Hour {
		t.Errorf("late records were found after %s, want 5 to 9 hours", found)
	}
	compareAll(in, api, compared{})
	if n := queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows WHERE state <> 'complete'`); n != 0 {
		t.Errorf("%d windows are not complete", n)
	}
}
