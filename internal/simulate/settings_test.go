package simulate_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// Settings change as the clock advances. A status log that is switched off lists
// no records that start later.
func TestSettings(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 14, 6, 0, 0, 0, time.UTC)
	var now atomic.Int64
	now.Store(start.Unix())
	clock := func() time.Time { return time.Unix(now.Load(), 0) }
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 4, Invocations: 4000, Seed: 1}, clock)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := simulate.ParseFaults("log-off=0.5,log-off-after=3h,settings-change=2h")
	if err != nil {
		t.Fatal(err)
	}
	s, err := simulate.New(simulate.Options{Data: data, Token: "t", Faults: faults, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after    time.Duration
		retries  int
		off      int // functions
		modified time.Time
	}{
		{0, 3, 0, time.Date(2026, 2, 11, 0, 0, 0, 0, time.UTC)},
		{2 * time.Hour, 4, 0, start.Add(2 * time.Hour)},
		{3 * time.Hour, 4, 2, start.Add(3 * time.Hour)},
		{12 * time.Hour, 0, 2, start.Add(12 * time.Hour)},
	} {
		now.Store(start.Add(step.after).Unix())
		off := 0
		for i := range s.Functions() {
			set := s.Setting(i)
			if set.Retries != step.retries || !set.Log && !set.Modified.Equal(step.modified) {
				t.Errorf("after %s: %+v", step.after, set)
			}
			last := time.Time{}
			for r := range s.Truth(i) {
				if r.Start.After(last) {
					last = r.Start
				}
			}
			if !set.Log {
				off++
			}
			if limit := start.Add(3 * time.Hour); step.after > 6*time.Hour && set.Log == last.Before(limit) {
				t.Errorf("after %s: the last record of %+v starts at %s", step.after, set, last)
			}
		}
		if off != step.off {
			t.Errorf("after %s: %d functions are off, not %d", step.after, off, step.off)
		}
	}
}

// The real SDK reads that the log is off from the start.
func TestSettingsThroughTheSDK(t *testing.T) {
	t.Parallel()
	faults, err := simulate.ParseFaults("log-off")
	if err != nil {
		t.Fatal(err)
	}
	s, web := serve(t, generate(t, 3, 300), func(o *simulate.Options) { o.Faults = faults })
	c := client(t, web.URL, secretKey, nil)
	off := 0
	for i, f := range s.Functions() {
		answer, err := c.ListFunctionAsyncInvokeConfig(&model.ListFunctionAsyncInvokeConfigRequest{FunctionUrn: f.URN})
		if err != nil {
			t.Fatal(err)
		}
		config := (*answer.AsyncInvokeConfigs)[0]
		listed := 0
		for range s.Truth(i) {
			listed++
		}
		if *config.EnableAsyncStatusLog != (listed > 0) || *config.LastModified != "2026-02-12 00:00:00" {
			t.Errorf("%s: %d records, %v", f.Name, listed, config)
		}
		if listed == 0 {
			off++
		}
	}
	if off != 1 {
		t.Errorf("%d functions are off", off)
	}
}
