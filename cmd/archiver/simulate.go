package main

import (
	"context"
	"fmt"
	"time"

	"archiver/internal/serve"
	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// simulateCommand serves the APIs of FunctionGraph and Function Compute.
type simulateCommand struct {
	settings.LogFlags
	Listen    string        `default:"127.0.0.1:8090" help:"Address to serve on."`
	AK        string        `name:"ak" default:"demo-access-key" help:"Access key that requests are signed with."`
	SK        string        `name:"sk" default:"demo-secret-key" help:"Secret key."`
	Token     string        `help:"Accept this X-Auth-Token as well."`
	User      string        `help:"An IAM user who may sign in for a token, with --password and --domain. The identity service has the same address."`
	Password  string        `help:"The user's password."`
	Domain    string        `help:"The account that the user belongs to."`
	ProjectID string        `name:"project-id" default:"${project}" help:"The project served."`
	Region    string        `default:"${region}" help:"The region in the functions' URNs."`
	Functions int           `default:"36" help:"Functions of the built-in generator."`
	Seed      uint64        `default:"1" help:"The same seed gives the same records."`
	Trace     string        `placeholder:"PREFIX" help:"Replay PREFIX_inv.csv and PREFIX_run.csv in place of the generator."`
	Date      string        `placeholder:"YYYY-MM-DD" help:"The UTC day of the records. Default: yesterday for a trace; for the generator yesterday, today and on."`
	Latency   time.Duration `help:"Wait this long before each answer."`
	RateLimit float64       `help:"Calls a second; further calls are answered 429."`
	Faults    string        `placeholder:"LIST" help:"Ways to deviate from the API's pages, such as borders=none,count=absent,500=0.05; help lists all of them."`
}

// generatedPerFunction is the number of invocations that the generator makes for
// each function and day.
const generatedPerFunction = 2800

func (c *simulateCommand) Run(ctx context.Context, s streams) error {
	if c.Faults == "help" {
		fmt.Fprint(s.out, simulate.FaultsHelp())
		return nil
	}
	faults, err := simulate.ParseFaults(c.Faults)
	if err != nil {
		return settings.Usagef("--faults: %w (--faults help lists all faults)", err)
	}
	log := c.Logger(s.err)
	data, err := c.data()
	if err != nil {
		return err
	}
	server, err := simulate.New(simulate.Options{
		Data: data, Region: c.Region, ProjectID: c.ProjectID,
		AccessKey: c.AK, SecretKey: c.SK, Token: c.Token, User: c.User, Password: c.Password, Domain: c.Domain,
		Latency: c.Latency, RateLimit: c.RateLimit, Faults: faults, Log: log,
	})
	if err != nil {
		return settings.Usage(err)
	}
	web, err := serve.Start(context.WithoutCancel(ctx), serve.Options{Address: c.Listen, Handler: server, Log: log})
	if err != nil {
		return fmt.Errorf("%w (set --listen to another address)", err)
	}
	fmt.Fprintf(s.out, "serving %d functions of project %s at %s\n", len(server.Functions()), c.ProjectID, web.URL())
	if text := faults.String(); text != "" {
		fmt.Fprintf(s.out, "with the faults %s\n", text)
	}
	return web.Wait(ctx)
}

// data reads or generates the records that are served.
func (c *simulateCommand) data() (*dataset.Data, error) {
	day := time.Now().UTC().AddDate(0, 0, -1).Truncate(24 * time.Hour)
	if c.Date != "" {
		var err error
		if day, err = time.Parse(time.DateOnly, c.Date); err != nil {
			return nil, settings.Usagef("--date: %q is not a day such as 2026-11-20", c.Date)
		}
	}
	if c.Trace != "" {
		data, err := dataset.LoadTrace(c.Trace, day, c.Seed)
		if err != nil {
			return nil, settings.Usagef("--trace: %w", err)
		}
		return data, nil
	}
	o := dataset.GenerateOptions{
		Functions: c.Functions, Invocations: c.Functions * generatedPerFunction, Date: day, Seed: c.Seed,
	}
	generate := func() (*dataset.Data, error) { return dataset.Live(o, time.Now) }
	if c.Date != "" {
		generate = func() (*dataset.Data, error) { return dataset.Generate(o) }
	}
	data, err := generate()
	if err != nil {
		return nil, settings.Usage(err)
	}
	return data, nil
}
