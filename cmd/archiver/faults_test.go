package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/simulate/dataset"
)

// The day on which the faults are tested. Its busiest functions have several pages.
const (
	faultFunctions   = 8
	faultInvocations = 4000
)

// The ways to run a row of the table.
const (
	asBinary    = "binary"  // the real one
	inside      = "inside"  // in this process
	impatiently = "at once" // in this process, without pauses between tries
)

// A faultRow is a fault and its expected outcome. By default, everything is archived.
type faultRow struct {
	spec string
	how  string
	// around asks for days around the day as well: the source filters by another time
	// than the start, or records start on another day.
	around int
	// mayBeOpen permits windows that are short. A complete window never lacks a record.
	mayBeOpen bool
	unusable  bool // most records cannot be read: no window is complete
	disturbed bool // calls are to meet the fault
}

var faultRows = []faultRow{
	{spec: "borders=both,marker=int,count=total,order=newest,filter=start,code=int,times=plain", how: asBinary},
	{spec: "borders=none", how: asBinary},
	{spec: "borders=left-open", how: inside},
	{spec: "borders=right-open", how: inside},
	{spec: "marker=string", how: inside},
	{spec: "marker=absent", how: inside},
	{spec: "marker=zero", how: inside},
	{spec: "marker=total", how: inside},
	{spec: "marker=same", how: inside},
	{spec: "marker=null", how: inside},
	{spec: "marker=mixed", how: inside},
	{spec: "count=absent", how: inside},
	{spec: "count=null", how: inside},
	{spec: "count=page", how: inside},
	{spec: "count=mixed", how: inside},
	{spec: "null-list", how: inside},
	{spec: "cap=100", how: inside},
	// A cap with neither a count nor a marker is not tested: such a page looks like a
	// last page.
	{spec: "cap=37,marker=absent", how: inside},
	{spec: "cap=50,count=absent", how: inside},
	{spec: "order=oldest", how: inside},
	{spec: "order=none", how: inside},
	{spec: "filter=end", how: inside, around: 4},
	{spec: "filter=creation", how: asBinary, around: 1},
	{spec: "code=string", how: inside},
	{spec: "code=empty", how: inside},
	{spec: "code=absent", how: inside},
	{spec: "code=mixed", how: inside},
	{spec: "times=z", how: inside},
	{spec: "times=offset", how: inside},
	{spec: "times=fraction", how: inside},
	{spec: "times=mixed", how: inside},
	{spec: "times=fraction,borders=none,cap=100", how: inside},
	{spec: "extra=0.5", how: inside},
	{spec: "mix", how: asBinary},
	{spec: "unusable", how: asBinary},
	{spec: "unusable=1", how: inside, unusable: true},
	{spec: "unusable,count=absent,cap=60", how: inside},
	{spec: "nul=0.3", how: inside},
	{spec: "huge=0.002", how: inside},
	{spec: "reversed", how: inside},
	{spec: "statuses", how: inside},
	{spec: "twice", how: inside},
	{spec: "twice,cap=90", how: inside},
	{spec: "twice,count=absent", how: inside},
	{spec: "repeat=0.5,cap=100", how: inside},
	{spec: "repeat=1,cap=100,count=absent", how: inside},
	{spec: "mix,unusable,nul,reversed,statuses,borders=none", how: asBinary},
	// In a capped hour, some counts are of the page and some of the whole list, and
	// nothing tells which. With this seed, no first page of a day has the count of the
	// page: that would mean the end of the list (docs/completeness.md).
	{spec: "count=mixed,cap=40", how: inside, mayBeOpen: true},
	{spec: "marker=mixed,cap=40", how: inside},
}

// A drift lasts few pages, so that a walk can outlast it.
var driftRows = []faultRow{
	{spec: "arrive", how: inside},
	{spec: "arrive=3,cap=100", how: inside},
	{spec: "vanish", how: inside},
	{spec: "vanish=3,cap=100", how: inside},
	{spec: "rise", how: inside},
	{spec: "rise=3,cap=100", how: inside},
	{spec: "sink", how: inside},
	{spec: "sink=3,cap=100", how: inside},
	{spec: "drift,cap=100", how: asBinary},
	{spec: "drift=2,cap=100,order=oldest", how: inside},
	{spec: "drift,cap=100,drift-calls=500", how: inside, mayBeOpen: true},
	{spec: "arrive=2,cap=100,count=absent", how: inside},
	{spec: "drift,cap=100,unusable,borders=none", how: inside},
}

var troubleRows = []faultRow{
	{spec: "trouble=0.05,cap=100", how: impatiently, disturbed: true},
	{spec: "429,cap=100", how: impatiently, disturbed: true},
	{spec: "429-bare,cap=100", how: impatiently, disturbed: true},
	{spec: "500,cap=100", how: impatiently, disturbed: true},
	{spec: "502,cap=100", how: impatiently, disturbed: true},
	{spec: "reset,cap=100", how: impatiently, disturbed: true},
	{spec: "cut,cap=100", how: impatiently, disturbed: true},
	{spec: "blank,cap=100", how: impatiently, disturbed: true},
	{spec: "hang=0.05,cap=100", how: impatiently, disturbed: true},
	{spec: "trouble=0.1,drift,mix,unusable", how: impatiently, disturbed: true},
	{spec: "500=0.02,cap=200", how: asBinary},
}

// TestFaults archives a day of a source with each of the simulator's faults:
// in the end the archive has every record of it, once and as it is, and says
// so.
func TestFaults(t *testing.T) {
	t.Parallel()
	// The busiest function has several pages in half of the day as well. A drift needs
	// longer lists: a walk has to outlast it.
	data, half := generated(t, faultFunctions, faultInvocations, 7), generated(t, faultFunctions, faultInvocations/2, 7)
	for name, table := range map[string]struct {
		rows []faultRow
		data *dataset.Data
	}{"records": {faultRows, half}, "drift": {driftRows, data}, "trouble": {troubleRows, half}} {
		for _, row := range table.rows {
			t.Run(name+" "+row.spec, func(t *testing.T) {
				t.Parallel()
				showFault(t, table.data, row)
			})
		}
	}
}

func showFault(t *testing.T, data *dataset.Data, row faultRow) {
	api := faulty(t, data, row.spec, nil)
	url := newServer(t, api)
	in := install(t, url)
	span := archive.Span{From: day.AddDate(0, 0, -row.around), To: day.AddDate(0, 0, 1+row.around)}
	end := archiveDay(in, url, row.how, span)

	compareAll(in, api, compared{open: openWindows(in)})
	states := counts(in, `SELECT state, count(*) FROM archiver_internal.windows WHERE planned GROUP BY 1`)
	wantCode := exitDone
	if row.mayBeOpen && states["short"] > 0 {
		wantCode = exitIncomplete
		t.Logf("%d windows are short", states["short"])
		states["complete"] += states["short"]
		delete(states, "short")
		if n := queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows WHERE state = 'short' AND last_error IS NULL`); n != 0 {
			t.Errorf("%d short windows do not say why", n)
		}
	}
	all := int64(span.Windows() * faultFunctions)
	want := map[string]int64{"complete": all}
	switch {
	case row.unusable:
		want, wantCode = map[string]int64{"failed": all}, exitIncomplete
	case row.around > 0:
		// The source has no record older than the first hour of the day: it may have
		// forgotten what was before.
		old := int64((24*row.around + 1) * faultFunctions)
		want = map[string]int64{"complete": all - old, "expired": old}
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	if end.code != wantCode {
		t.Errorf("exit %d, want %d: %s", end.code, wantCode, end.stderr)
	}
	rejected := 0
	for i := range api.Functions() {
		rejected += api.Unusable(i)
	}
	if said := strings.Contains(end.stdout, fmt.Sprintf(", %d records rejected", rejected)); said != (rejected > 0) {
		t.Errorf("%d records are rejected, the last line says: %s", rejected, end.stdout)
	}
	if n := queryValue[int64](in, `SELECT COALESCE(sum(rejected), 0)::bigint FROM archiver_internal.windows`); n != int64(rejected) {
		t.Errorf("windows count %d rejected records, want %d", n, rejected)
	}
	if row.disturbed && api.Stats().Disturbed == 0 {
		t.Error("no call met the fault: the row shows nothing")
	}
}

// archiveDay backfills a span.
func archiveDay(in *installation, url, how string, span archive.Span) ending {
	in.t.Helper()
	o := archive.Order{AskedBy: "backfill", Range: span}
	switch how {
	case inside:
		return archiveIn(in.t, in.inProcess(url, archive.SystemClock{}), o)
	case impatiently:
		// The time limit is for calls that hang. An answered call is much faster.
		return archiveIn(in.t, in.impatient(url, 2*time.Second), o)
	default:
		code, stdout, stderr := in.run(quickly, "backfill",
			"--from", span.From.Format(time.DateOnly), "--to", span.To.Format(time.DateOnly))
		return ending{code, stdout, stderr}
	}
}
