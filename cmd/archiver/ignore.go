package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/read"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// ignoreCommand gives functions up, or a source.
type ignoreCommand struct {
	settings.LogFlags
	settings.DatabaseFlags
	Function []string `env:"-" type:"globs" placeholder:"GLOB" help:"Functions whose name or URN matches; repeatable."`
	Source   string   `name:"whole-source" env:"-" placeholder:"NAME" help:"A source whose passes have ended for good. Its next pass takes it back."`
	Reason   string   `env:"-" placeholder:"TEXT" help:"Why; kept with the time and the user."`
	Undo     bool     `env:"-" help:"Take them back."`
}

// Run prints what it gives up. It deletes nothing.
func (c *ignoreCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	switch {
	case len(c.Function) == 0 && c.Source == "":
		return settings.Usagef("name functions with --function, or a source with --whole-source")
	case c.Reason == "" && !c.Undo:
		return settings.Usagef("--reason is missing: say why they are ignored")
	}
	store, db, err := supervise.OpenStore(ctx, in, c.Logger(s.err))
	if err != nil {
		return err
	}
	defer db.Close()
	i := load.Ignoring{Reason: c.Reason, At: archive.SystemClock{}.Now(), Undo: c.Undo}
	if who, err := user.Current(); err == nil {
		i.By = cmp.Or(who.Username, who.Uid)
	}
	var changed []string
	if len(c.Function) > 0 {
		matching, err := c.matching(ctx, read.New(db))
		if err != nil {
			return err
		}
		if changed, err = store.Ignore(ctx, matching, i); err != nil {
			return err
		}
	}
	if c.Source != "" {
		sources, err := store.IgnoreSource(ctx, c.Source, i)
		if err != nil {
			return err
		}
		changed = append(changed, sources...)
	}
	for _, name := range changed {
		fmt.Fprintln(s.out, terminal.Line(name))
	}
	words := "are ignored from now on"
	if c.Undo {
		words = "are not ignored any more"
	}
	fmt.Fprintf(s.out, "%d functions and sources %s\n", len(changed), words)
	return nil
}

// matching are the functions of the archive, with their versions, that the globs pick.
func (c *ignoreCommand) matching(ctx context.Context, store *read.Archive) (ids []int32, err error) {
	functions, err := store.Functions(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range functions {
		latest := archive.Function{Name: f.Name, URN: cmp.Or(f.LatestURN, f.URN)}
		if settings.Match(c.Function, f.Function) || settings.Match(c.Function, latest) {
			ids = append(ids, f.ID)
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("the archive has no function that --function matches")
	}
	slices.Sort(ids)
	return ids, nil
}
