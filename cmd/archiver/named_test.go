package main

import (
	"strings"
	"testing"

	"archiver/internal/simulate"
)

// A function that is named by its URN is archived where listing functions is refused.
func TestNamedFunction(t *testing.T) {
	t.Parallel()
	data := generated(t, 3, 6000, 1)
	api, _ := simulator(t, data)
	in := install(t, newServer(t, deny(api, "/fgs/functions")))
	urn := "urn:fss:" + simulate.DefaultRegion + ":" + simulate.DefaultProjectID + ":function:default:" + data.Functions()[1] + ":latest"
	stdout := in.backfill("--function", urn)
	if !strings.Contains(stdout, "of 24 windows complete, 1 functions, 212 new records") {
		t.Errorf("it says %s", stdout)
	}
	stdout = in.backfill("--function", urn, "--force", "--dry-run")
	if !strings.Contains(stdout, "24 windows of 1 functions are due") || !strings.Contains(stdout, "functions cannot be listed, 1 are named") {
		t.Errorf("the dry run says %s", stdout)
	}
	code, stdout, stderr := in.run(nil, "once", "--functions", urn)
	if code != exitDone || strings.Contains(stdout, "failed") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	code, _, stderr = in.run(nil, append([]string{"backfill"}, dayFlags...)...)
	if code != exitIncomplete || !strings.Contains(stderr, "FSS.0403") {
		t.Errorf("without a name: exit %d: %s", code, stderr)
	}
}
