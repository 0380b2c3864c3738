package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"time"

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

// plainColumns is the width without a terminal.
const plainColumns = 80

func (c *statusCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	log := c.Logger(s.err)
	db, err := supervise.OpenReader(ctx, in, log)
	if err != nil {
		return err
	}
	defer db.Close()
	shown := statusPage(read.New(db), keptFor(c.SourceRetention), log)
	var verdict read.Verdict
	if c.JSON {
		var status page.Status
		if status, err = shown.Status(ctx); err == nil {
			verdict, err = status.Verdict, printJSON(s.out, status)
		}
	} else {
		verdict, err = shown.Print(ctx, s.out, screenOf(s.out, c.Color, c.All))
	}
	if err == nil && c.ExitCode && verdict.Level != read.OK {
		err = errors.New(verdict.Text)
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
