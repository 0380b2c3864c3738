package settings

import (
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"archiver/internal/load/pg"
	"archiver/internal/settings/configfile"
)

// A CommandLine is a command line to parse.
type CommandLine struct {
	// New returns a parser made by NewParser. Each parser fills values of its own.
	New func(options ...kong.Option) (*kong.Kong, error)

	// CheckSource returns what is wrong with the settings of a source, without
	// asking the source.
	CheckSource func(*Source) error

	// SourceRetention returns how long a provider keeps records, as its pages say.
	SourceRetention func(provider string) time.Duration
}

// NewParser returns a parser that fills the fields of a grammar.
func NewParser(grammar any, options ...kong.Option) (*kong.Kong, error) {
	options = append(mappers(), options...)
	options = append(options,
		kong.DefaultEnvars("ARCHIVER"),
		kong.ExplicitGroups([]kong.Group{{Key: sourceGroup, Title: "Flags of a source:"}}),
	)
	parser, err := kong.New(grammar, options...)
	if err != nil {
		return nil, fmt.Errorf("set up the command line: %w", err)
	}
	// Kong would take an empty variable for a value.
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			flag.Tag.Envs = slices.DeleteFunc(slices.Clone(flag.Envs), func(name string) bool { return !isSet(flag, name) })
		}
		return next(nil)
	})
	return parser, nil
}

// Parse reads arguments, environment and configuration file. The context runs the
// command; its flags have the values of the first source. Mistakes are Errors of
// UsageErrors.
func Parse(args []string, line CommandLine) (*kong.Context, *Settings, error) {
	in, err := newInput(args, line)
	if err != nil {
		return nil, nil, err
	}
	if in.command == nil || in.asksForHelp() {
		_, err := in.parse()
		return nil, nil, err
	}
	in.readFile()
	in.checkEnvironment()
	in.checkEmpty()
	s := &Settings{
		File: in.file.Path, Listed: len(in.file.Sources),
		Database: in.database(), Warnings: in.unknownVariables(),
	}
	sections := in.pickSections()
	if !in.checkAccounts(sections) {
		return nil, nil, in.mistakes(s)
	}
	parsed, command := in.parseSources(sections)
	in.checkSources(parsed)
	if err := in.mistakes(s); err != nil {
		return nil, nil, err
	}
	s.Schema = schemaOf(command)
	s.origins = in.processOrigins(s.Database)
	for _, p := range parsed {
		p.origins = in.sourceOrigins(p)
		s.Sources = append(s.Sources, p.Source)
	}
	return command, s, nil
}

// schemaOf returns the value of --schema, or the default if the command has no such flag.
func schemaOf(command *kong.Context) string {
	for _, flag := range command.Flags() {
		if flag.Name == "schema" {
			return flag.Target.String()
		}
	}
	return pg.DefaultSchema
}

// A parsedSource is a source with what is needed to check it.
type parsedSource struct {
	Source
	resolver sourceResolver
	sound    bool // no mistake was found in it
}

// parseSources parses the arguments once for each source: what they leave out
// comes from the file, and may differ. The command is that of the first source.
func (in *input) parseSources(sections []*configfile.Section) (sources []*parsedSource, command *kong.Context) {
	all := make([]*parsedSource, len(sections))
	for i, section := range sections {
		r := sourceResolver{in, section}
		all[i] = &parsedSource{resolver: r, sound: !in.readsSources() || r.checkSection()}
	}
	for _, p := range all {
		parsed, err := in.parse(kong.Resolvers(p.resolver))
		if err != nil {
			// The arguments are wrong, and would be wrong for the next source as well.
			// If there are other errors, this error is one of them.
			if len(in.otherErrors) == 0 {
				in.otherErrors = append(in.otherErrors, err)
			}
			break
		}
		if command == nil {
			command = parsed
		}
		if c, ok := parsed.Selected().Target.Addr().Interface().(sourceCommand); ok {
			p.Source = c.Source()
			p.Credentials = p.resolver.credentials(p.Provider)
		}
		p.Name = nameOf(p.resolver.section)
		sources = append(sources, p)
	}
	return sources, command
}

// parse parses the arguments.
func (in *input) parse(options ...kong.Option) (*kong.Context, error) {
	parser, err := in.line.New(options...)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(in.args)
	if err != nil {
		return nil, Usagef("%w (see archiver --help)", err)
	}
	return parsed, nil
}
