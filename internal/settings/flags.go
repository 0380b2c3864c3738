package settings

import (
	"io"
	"log/slog"
	"time"

	"archiver/internal/archive"
	"archiver/internal/terminal"
)

// LogFlags say how to log. Logs go to standard error.
type LogFlags struct {
	LogFormat string `enum:"auto,text,json" default:"auto" help:"Format of the log: auto is text on a terminal, else json."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"Lowest level that is logged."`
}

// Logger returns a logger that writes to w.
func (f *LogFlags) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	// The flag's enum has only words that a level knows.
	_ = level.UnmarshalText([]byte(f.LogLevel))
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" || f.LogFormat == "auto" && !terminal.Is(w) {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// DatabaseFlags say where in the database the archive is.
type DatabaseFlags struct {
	Schema string `type:"schema" default:"public" placeholder:"NAME" help:"The schema of the archive's tables and views, made by migrate. Its internal schemas are named after it, and so a database can hold several archives."`
}

// sourceGroup is the group of the flags that each source may have its own values
// for. All other flags belong to the process.
const sourceGroup = "source"

// ArchiveFlags are shared by the commands that work on sources.
type ArchiveFlags struct {
	LogFlags
	DatabaseFlags
	SourceFlags      `group:"source"`
	NoMigrate        bool          `help:"Do not migrate the schema first."`
	DatabasePatience time.Duration `default:"15m" help:"How long once, backfill and verify wait for a database that is away or has failed them; run waits until its next tick, and when it starts until the database comes."`
	Only             []string      `name:"source" placeholder:"NAME,…" help:"Only these sources of a configuration file that lists several."`
	Pprof            string        `type:"loopback" placeholder:"ADDRESS" help:"Serve profiles on this loopback address. Default none."`
}

// Source returns the source that the flags describe. A command with more flags of
// a source has a method of its own that adds them.
func (f *ArchiveFlags) Source() Source { return Source{SourceFlags: f.SourceFlags} }

// A sourceCommand works on sources.
type sourceCommand interface{ Source() Source }

// SourceFlags say which source is read, and how. Secrets are not flags, because
// every process of a machine can see flags. The tag `of` names the provider of a
// flag that only one provider has; `account` marks the flags that say which
// account is read.
type SourceFlags struct {
	Provider        string        `enum:"${providers}" default:"functiongraph" account:"" help:"The cloud service to read: ${enum}."`
	Region          string        `account:"" placeholder:"NAME" help:"The region, such as cn-north-4."`
	Endpoint        string        `account:"" placeholder:"URL" help:"URL of the API, in place of the region's own."`
	Insecure        bool          `help:"Permit an http:// endpoint on another machine."`
	ProjectID       string        `name:"project-id" env:"ARCHIVER_PROJECT_ID,HUAWEICLOUD_SDK_PROJECT_ID" of:"functiongraph" account:"" placeholder:"ID" help:"The project. Default: looked up by its name."`
	Project         string        `of:"functiongraph" account:"" placeholder:"NAME" help:"The project by its name, such as eu-de_shop, in place of its id. Default: the region's own."`
	IAMEndpoint     string        `name:"iam-endpoint" of:"functiongraph" account:"" placeholder:"URL" help:"URL of the identity service, in place of the region's own."`
	Username        string        `of:"functiongraph" account:"" placeholder:"NAME" help:"The IAM user to sign in as, with ARCHIVER_PASSWORD."`
	Domain          string        `of:"functiongraph" account:"" placeholder:"NAME" help:"The account that the user belongs to."`
	AccountID       string        `name:"account-id" env:"ARCHIVER_ACCOUNT_ID,ALIBABA_CLOUD_ACCOUNT_ID" of:"functioncompute" account:"" placeholder:"ID" help:"The account. Default: that of the endpoint."`
	IncludePayload  bool          `of:"functioncompute" help:"With functioncompute: ask for the payload of each invocation as well, and keep it."`
	Functions       []string      `type:"globs" placeholder:"GLOB,…" help:"Globs on function name or URN; ! excludes. Default all."`
	Versions        string        `enum:"all,latest" default:"all" help:"Which versions of each function: all that the source lists, or only the latest."`
	Settle          time.Duration `default:"10m" help:"How long after its end a window is first read."`
	IgnoreClocks    bool          `help:"Do not compare clocks with that of the source: its answers have a wrong Date."`
	SourceRetention time.Duration `placeholder:"30d" help:"How long the source keeps records. Default ${retentions}."`
	SourcePatience  time.Duration `default:"15m" help:"How long once and backfill wait for a source that accepts no call; run waits until its next tick."`
	Concurrency     int           `type:"count" default:"8" help:"Calls at the same time."`
	RequestTimeout  time.Duration `default:"30s" help:"Limit of one call."`
	Rate            float64       `type:"rate" placeholder:"NUMBER" help:"Calls a second at most; 0 for no limit."`
}

// DueFlags say which windows are due without being asked for.
type DueFlags struct {
	VerifyAfter time.Duration `default:"6h" group:"source" help:"When the counts of complete windows are compared with the source's again; 0 for never."`
	Lookback    time.Duration `placeholder:"30d" group:"source" help:"How far back windows are due. Default --source-retention."`
	Retention   time.Duration `placeholder:"400d" help:"After each pass, drop the days that ended longer ago than this; 0 for never."`
}

// check refuses a retention that drops what the next pass reads again, and a source
// that keeps nothing.
func (s *Source) check() error {
	switch {
	case s.Retention > 0 && s.Retention < s.Lookback:
		return Usagef("--retention %s is shorter than --lookback %s: every pass would read again what the last one dropped",
			DurationText(s.Retention), DurationText(s.Lookback))
	case s.SourceRetention < archive.Hour:
		return Usagef("--source-retention %s is less than an hour: no window could be read in time", DurationText(s.SourceRetention))
	case s.SourcePatience < time.Second:
		return Usagef("--source-patience %s is less than a second: a source that throttles would be given up at once", DurationText(s.SourcePatience))
	}
	return nil
}
