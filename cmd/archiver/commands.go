package main

import (
	"github.com/alecthomas/kong"

	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/sources"
)

// commands is the command line: a field for each command, which stands in a file
// of its name.
type commands struct {
	Run         runCommand         `cmd:"" help:"Stay up and archive at once, and at every tick of the schedule."`
	Once        onceCommand        `cmd:"" help:"Archive everything that is due, then end."`
	Backfill    backfillCommand    `cmd:"" help:"Archive the hours in [from, to), due or not."`
	Verify      verifyCommand      `cmd:"" help:"Compare the archive's counts with the source's."`
	Query       queryCommand       `cmd:"" help:"Look up invocations of one function: at the source, live, or in the archive."`
	Status      statusCommand      `cmd:"" help:"Show what is archived, what is not, and since when."`
	Acknowledge acknowledgeCommand `cmd:"" help:"Take windows that were missed out of the verdict."`
	Ignore      ignoreCommand      `cmd:"" help:"Give functions up, or a source: they leave the verdict, and keep their history."`
	Limits      limitsCommand      `cmd:"" help:"Show what was learned of the sources, or forget it."`
	Report      reportCommand      `cmd:"" help:"Write the status page as one file."`
	Check       checkCommand       `cmd:"" help:"Check configuration, credentials, database, and whether the source keeps records."`
	Migrate     migrateCommand     `cmd:"" help:"Migrate the schema up or down."`
	Simulate    simulateCommand    `cmd:"" help:"Serve the APIs of both clouds, for trying and testing."`
	Demo        demoCommand        `cmd:"" help:"Show everything on this machine: PostgreSQL, simulator, archive."`

	Config  string           `placeholder:"FILE" help:"Configuration file, YAML: its keys are named as flags are, and it may list several sources."`
	Version kong.VersionFlag `env:"-" help:"Print the version."`
}

// release is the version of the binary. The linker sets it.
var release = "dev"

func version() string { return "archiver " + release }

// helpPrinted ends a command that printed only its help or version: kong wants to
// exit then.
type helpPrinted struct{}

// newParser returns a parser that fills the commands.
func newParser(c *commands, s streams, options ...kong.Option) (*kong.Kong, error) {
	return settings.NewParser(c, append(options,
		kong.Name("archiver"),
		kong.Description("Keeps the history of serverless invocations in PostgreSQL, and proves that nothing is missing.\n\n"+
			"Exit codes: 0 everything asked for is archived; 1 something could not be archived; "+
			"2 wrong usage or configuration, nothing was tried; 130 interrupted, progress kept."),
		kong.Vars{"version": version(), "project": simulate.DefaultProjectID, "region": simulate.DefaultRegion, "providers": sources.Providers(), "retentions": sources.Retentions()},
		kong.Writers(s.out, s.err),
		kong.Exit(func(int) { panic(helpPrinted{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)...)
}

// parse reads arguments, environment and configuration file.
func parse(args []string, s streams) (*kong.Context, *settings.Settings, error) {
	return settings.Parse(args, settings.CommandLine{
		New:         func(options ...kong.Option) (*kong.Kong, error) { return newParser(new(commands), s, options...) },
		CheckSource: sources.Check, SourceRetention: sources.Retention,
	})
}
