package main

import (
	"fmt"
	"slices"

	"github.com/alecthomas/kong"

	"archiver/internal/settings/configfile"
	"archiver/internal/simulate"
)

// helpPrinted ends a command that only printed its help or version: kong wants
// to exit then.
type helpPrinted struct{}

// newParser makes the command line. It fills the commands.
func newParser(c *commands, s streams, options ...kong.Option) (*kong.Kong, error) {
	options = append(mappers(), options...)
	options = append(options,
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
	)
	parser, err := kong.New(c, options...)
	if err != nil {
		return nil, fmt.Errorf("set up the command line: %w", err)
	}
	// The parser would take variables that are empty for values.
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			flag.Tag.Envs = slices.DeleteFunc(slices.Clone(flag.Envs), func(name string) bool { return !isSet(flag, name) })
		}
		return next(nil)
	})
	return parser, nil
}

// parse reads arguments, environment and configuration file.
func parse(args []string, s streams) (*kong.Context, *inForce, error) {
	c, err := newConfiguring(args, s)
	if err != nil {
		return nil, nil, err
	}
	if c.command == nil || c.asksForHelp() {
		_, err := c.parse(new(configured), nil)
		return nil, nil, err
	}
	c.readFile()
	c.checkEnvironment()
	in := &inForce{database: c.database(), warnings: c.unknownVariables(), configuring: c}
	picked := c.picked()
	if !c.checkAccounts(picked) {
		return nil, nil, c.mistakes(in)
	}
	lacking := make(map[*configfile.Section]bool)
	for _, section := range picked {
		lacking[section] = c.reads() && !layered{c, section}.checkSource()
	}
	var parsed *kong.Context
	for _, section := range picked {
		of := &configured{name: nameOf(section), layered: layered{c, section}, lacking: lacking[section]}
		context, err := c.parse(of, section)
		if err != nil && len(c.besides) == 0 {
			c.besides = append(c.besides, err) // else it is one of those
		}
		if err != nil {
			break // the next would say the same
		}
		if parsed == nil {
			parsed = context
		}
		in.sources = append(in.sources, of)
	}
	c.checkSources(in.sources)
	if err := c.mistakes(in); err != nil {
		return nil, nil, err
	}
	return parsed, in, nil
}

// asksForHelp reports whether what is asked for is a text about the command.
func (c *configuring) asksForHelp() bool {
	_, help := c.argument("help")
	_, version := c.argument("version")
	return help || version
}

// parse parses the command line for one source.
func (c *configuring) parse(of *configured, own *configfile.Section) (*kong.Context, error) {
	var file []kong.Option
	if own != nil {
		file = append(file, kong.Resolvers(layered{c, own}))
	}
	parser, err := newParser(&of.commands, c.s, file...)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(c.args)
	if err != nil {
		return nil, usagef("%w (see archiver --help)", err)
	}
	if command, ok := parsed.Selected().Target.Addr().Interface().(archiving); ok {
		of.flags = command.shared()
		of.flags.Own = of.secrets()
	}
	if command, ok := parsed.Selected().Target.Addr().Interface().(consistent); ok {
		of.consistent = command
	}
	if command, ok := parsed.Selected().Target.Addr().Interface().(unasking); ok {
		of.unasked = command.unasking()
	}
	return parsed, nil
}

// An archiving command is one that works on sources.
type archiving interface{ shared() *archiveFlags }

// An unasking command may leave the sources alone: then they need no credentials.
type unasking interface{ unasking() bool }

// A consistent command has flags that have to fit together.
type consistent interface{ check() error }
