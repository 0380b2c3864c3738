package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// commands is the command line: a field a command, each in a file of its name.
type commands struct {
	Run      runCommand      `cmd:"" help:"Stay up and archive at every tick of the schedule."`
	Once     onceCommand     `cmd:"" help:"Archive everything that is due, then end."`
	Backfill backfillCommand `cmd:"" help:"Archive the hours in [from, to), whatever the schedule."`
	Verify   verifyCommand   `cmd:"" help:"Compare the archive's counts with the source's."`
	Query    queryCommand    `cmd:"" help:"Look up invocations of one function: at the source, live, or in the archive."`
	Status   statusCommand   `cmd:"" help:"Show what is archived, what is not, and since when."`
	Check    checkCommand    `cmd:"" help:"Check configuration, credentials, database, and whether the source keeps records."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the schema forward or back."`
	Simulate simulateCommand `cmd:"" help:"Serve the APIs of both clouds, for trying and testing."`
	Demo     demoCommand     `cmd:"" help:"All of it in one go on this machine: PostgreSQL, simulator, archive."`

	Config  string           `placeholder:"FILE" help:"Configuration file, YAML: keys are named as flags are, with several sources if need be."`
	Version kong.VersionFlag `env:"-" help:"Print the version."`
}

// release is what the binary was built from; the linker sets it.
var release = "dev"

func version() string { return "archiver " + release }

// durations reads Go's durations, and days as well: 400d.
var durations = kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
	var s string
	if err := ctx.Scan.PopValueInto("duration", &s); err != nil {
		return err
	}
	d, err := parseDuration(s)
	if err != nil {
		return err
	}
	target.Set(reflect.ValueOf(d))
	return nil
}))

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok && err != nil {
		n, dayErr := strconv.Atoi(days)
		d, err = time.Duration(n)*24*time.Hour, dayErr
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 90s, 10m, 6h or 30d", s)
	}
	return d, nil
}

// An hour is a flag that names a whole UTC hour.
type hour struct{ time.Time }

// timeShapes are the ways to write a time; without a zone it is UTC.
var timeShapes = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

// UnmarshalText reads an hour, and names the two nearest where it is not whole.
func (h *hour) UnmarshalText(text []byte) (err error) {
	if h.Time, err = parseTime(string(text)); err != nil {
		return err
	}
	if before := h.Truncate(time.Hour); !before.Equal(h.Time) {
		return fmt.Errorf("%s is not a whole hour: use %s or %s", text,
			before.Format(time.RFC3339), before.Add(time.Hour).Format(time.RFC3339))
	}
	return nil
}

func parseTime(text string) (time.Time, error) {
	for _, shape := range timeShapes {
		if t, err := time.ParseInLocation(shape, text, time.UTC); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-20 or 2026-11-20T15:00:00Z", text)
}
