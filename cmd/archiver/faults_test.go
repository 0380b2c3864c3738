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

// The day that the faults are shown on: the busiest functions have several
// pages of it.
const (
	faultFunctions   = 8
	faultInvocations = 4000
)

// How a row of the table is run.
const (
	asBinary    = "binary"  // the real one
	inside      = "inside"  // in this process
	impatiently = "at once" // in this process, without pauses between tries
)

// A faultRow is a fault and what it is to come to; without a word, everything
// is archived.
type faultRow struct {
	spec string
	how  string
	// around asks for days around the day: records are found by another time
	// than their start, or start on another day.
	around int
	// mayBeOpen says that windows may end up short, but never complete with
	// something missing.
	mayBeOpen bool
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
	// A cap with neither a count nor a marker is left out: nothing tells such a
	// page from a last one.
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
	{spec: "unusable=1", how: inside},
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
	// Within a capped hour some counts are the page's own and some the total:
	// nothing tells which. The first page of no function's day draws its own: that
	// would be the list's end (docs/completeness.md).
	{spec: "count=mixed,cap=40", how: inside, mayBeOpen: true},
	{spec: "marker=mixed,cap=40", how: inside},
}

// Drifts are of few pages, so that walks outlive them.
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
	data := generated(t, faultFunctions, faultInvocations, 7)
	for name, rows := range map[string][]faultRow{"records": faultRows, "drift": driftRows, "trouble": troubleRows} {
		for _, row := range rows {
			t.Run(name+" "+row.spec, func(t *testing.T) {
				t.Parallel()
				showFault(t, data, row)
			})
		}
	}
}

func showFault(t *testing.T, data *dataset.Data, row faultRow) {
	api := faulty(t, data, row.spec, nil)
	url := newServer(t, api)
	in := installMigrated(t, url)
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
	if diff := cmp.Diff(map[string]int64{"complete": int64(span.Windows() * faultFunctions)}, states); diff != "" {
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
		// The time limit is for calls that hang; none that is answered is
		// near it.
		return archiveIn(in.t, in.impatient(url, 2*time.Second), o)
	default:
		code, stdout, stderr := in.run(quickly, "backfill",
			"--from", span.From.Format(time.DateOnly), "--to", span.To.Format(time.DateOnly))
		return ending{code, stdout, stderr}
	}
}
