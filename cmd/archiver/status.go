package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/page"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// statusCommand shows what is archived and what is not.
type statusCommand struct {
	settings.LogFlags
	settings.DatabaseFlags
	JSON            bool          `name:"json" help:"For programs."`
	ExitCode        bool          `help:"End with 0 if the archive is as it should be, and with 1 if it is not."`
	All             bool          `help:"Every function, and not only those with the most trouble."`
	Color           string        `enum:"auto,always,never" default:"auto" help:"Colours: auto is on a terminal, unless NO_COLOR is set."`
	SourceRetention time.Duration `placeholder:"30d" help:"How long the source keeps records: the status shows which missing hours it deletes next. Default ${retentions}."`
}

// The most runs and failing windows in JSON.
const (
	statusRuns    = 5
	statusFailing = 1000
)

// plainColumns is the width without a terminal.
const plainColumns = 80

// A status is what status --json prints.
type status struct {
	Verdict   read.Verdict    `json:"verdict"`
	Functions []read.Function `json:"functions"`
	Runs      []read.Run      `json:"runs"`
	Failing   []read.Failing  `json:"failing"` // the newest windows that are short or failed
	Lists     []read.List     `json:"function_lists"`
	Limits    []read.Limit    `json:"limits"`
	LockWaits []read.LockWait `json:"lock_waits"` // of more than five seconds
}

func readStatus(ctx context.Context, store *read.Archive, now time.Time, kept read.Times) (s status, err error) {
	err = store.Snapshot(ctx, func(snapshot *read.Snapshot) error {
		if s.Functions, err = snapshot.Functions(ctx); err != nil {
			return err
		}
		if s.Lists, err = snapshot.Lists(ctx); err != nil {
			return err
		}
		sources, err := snapshot.Sources(ctx, s.Functions, now)
		if err != nil {
			return err
		}
		s.Verdict = read.Judge(now, s.Functions, sources, s.Lists, kept)
		if err := snapshot.CountOff(ctx, s.Functions); err != nil {
			return err
		}
		if s.Runs, err = snapshot.Runs(ctx, statusRuns, now.Add(-archive.DeadAfter)); err != nil {
			return err
		}
		if s.Failing, err = snapshot.Failing(ctx, statusFailing); err != nil {
			return err
		}
		if s.Limits, err = snapshot.Limits(ctx, now); err != nil {
			return err
		}
		s.LockWaits, err = snapshot.LockWaits(ctx)
		return err
	})
	return s, err
}

func (c *statusCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	log := c.Logger(s.err)
	db, err := supervise.OpenReader(ctx, in, log)
	if err != nil {
		return err
	}
	defer db.Close()
	store, now := read.New(db), archive.SystemClock{}.Now()
	status, err := readStatus(ctx, store, now, keptFor(c.SourceRetention))
	switch {
	case err != nil:
	case c.JSON:
		err = printJSON(s.out, status)
	default:
		err = statusPage(store, keptFor(c.SourceRetention), log).Print(ctx, s.out, screenOf(s.out, c.Color, c.All))
	}
	if err == nil && c.ExitCode && status.Verdict.Level != read.OK {
		err = errors.New(status.Verdict.Text)
	}
	return supervise.ConnectHint(err)
}

// screenOf returns what w can show.
func screenOf(w io.Writer, color string, all bool) page.Screen {
	screen := page.Screen{Columns: plainColumns, Color: color == "always", All: all}
	if terminal.Is(w) {
		screen.Columns = cmp.Or(terminal.Columns(w), plainColumns)
		// NO_COLOR counts with any value but the empty one: https://no-color.org
		if color == "auto" && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
			screen.Color = true
		}
	}
	return screen
}
