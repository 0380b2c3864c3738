package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/simulate"
)

// helpPrinted ends a command that only printed its help or version: kong wants
// to exit then.
type helpPrinted struct{}

// newParser makes the command line. It fills the commands.
func newParser(c *commands, s streams) (*kong.Kong, error) {
	parser, err := kong.New(c,
		kong.Name("archiver"),
		kong.Description("Keeps the history of serverless invocations in PostgreSQL, and proves that nothing is missing.\n\n"+
			"Exit codes: 0 everything asked for is archived; 1 something could not be archived; "+
			"2 wrong usage or configuration, nothing was tried; 130 interrupted, progress kept."),
		kong.DefaultEnvars("ARCHIVER"),
		kong.Vars{"version": version(), "project": simulate.DefaultProjectID, "region": simulate.DefaultRegion, "providers": providers()},
		kong.Writers(s.out, s.err),
		kong.Exit(func(int) { panic(helpPrinted{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ExplicitGroups([]kong.Group{{Key: ofSource, Title: "Flags of a source:"}}),
		durations,
	)
	if err != nil {
		return nil, fmt.Errorf("set up the command line: %w", err)
	}
	return parser, nil
}

// parse reads arguments and environment.
func parse(args []string, s streams) (*kong.Context, *inForce, error) {
	only := new(configured)
	parser, err := newParser(&only.commands, s)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return nil, nil, usagef("%w (see archiver --help)", err)
	}
	return parsed, &inForce{database: extract.SecretFrom("DATABASE_URL"), sources: []*configured{only}}, nil
}
