package main

import (
	"context"
	"log/slog"

	"archiver/internal/extract"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
)

// inForce is what a command works on: the database, and the sources it is for.
type inForce struct {
	*configuring
	database extract.Secret
	sources  []*configured
	warnings []string
}

// A configured source is one that the command is for, with the command's flags
// as they are for it.
type configured struct {
	layered
	name       string // empty where there is no list of sources
	commands   commands
	flags      *archiveFlags // of the command, nil for one that has none
	lacking    bool          // what the file says of it is not enough, as was told
	unasked    bool          // by the command
	consistent consistent    // the command, nil for one that has nothing to fit together
}

// databaseURL is where the archive is.
func (in *inForce) databaseURL() (string, error) {
	address, err := in.database.Read()
	if err != nil {
		return "", &usageError{err}
	}
	if address == "" {
		return "", usagef("DATABASE_URL is not set: name the database, such as postgres://user:password@host:5432/archiver")
	}
	if _, err := pg.Config(address); err != nil {
		return "", usagef("%s: %w", in.database.Name(), err)
	}
	return address, nil
}

// reading opens the archive for a command that shows what is in it, and cannot
// change it. Close the database.
func (in *inForce) reading(ctx context.Context, log *slog.Logger) (*pg.DB, error) {
	address, err := in.databaseURL()
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, address, 1, log, pg.Rotated(in.database.Read), pg.ReadOnly())
	if err != nil {
		return nil, connectHint(err)
	}
	if err := read.New(db).Ping(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}
