package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/serve"
	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// demoFaults leaves a few of the demo's records waiting or running, for some
// hours on end.
const demoFaults = "inflight=0.0003,stage=8h,move=none"

// demoBegan is how long before the demo these records were queued.
const demoBegan = 6 * time.Hour

// demoSource serves made-up invocations on a loopback address and is the source
// of them, until the function it returns is called.
func demoSource(ctx context.Context, o dataset.GenerateOptions, clock archive.Clock, log *slog.Logger) (archive.Source, func(), error) {
	data, err := dataset.Generate(o)
	if err != nil {
		return nil, nil, settings.Usage(err)
	}
	faults, err := simulate.ParseFaults(demoFaults)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the simulator: %w", err)
	}
	// The token is good for this process's own simulator alone.
	const token = "demo-token"
	ago := demoBegan
	api, err := simulate.New(simulate.Options{
		Data: data, Token: token, Faults: faults, Log: log,
		Now: func() time.Time { return clock.Now().Add(-ago) },
	})
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the simulator: %w", err)
	}
	ago = 0
	web, err := serve.Start(context.WithoutCancel(ctx), serve.Options{Handler: api, Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("start the simulator: %w", err)
	}
	caller := extract.NewCaller(extract.Options{Concurrency: 8, Timeout: 30 * time.Second, Clock: clock, Log: log})
	source, err := functiongraph.New(ctx, functiongraph.Options{
		Region: simulate.DefaultRegion, Endpoint: web.URL(),
		ProjectID: simulate.DefaultProjectID, AuthToken: extract.FixedSecret("token", token),
	}, caller, log)
	if err != nil {
		web.Stop()
		return nil, nil, err
	}
	return source, web.Stop, nil
}
