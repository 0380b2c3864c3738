package load

import (
	"context"
	_ "embed" // statements
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

var (
	//go:embed seefunctions.sql
	upsertFunctions string
	//go:embed unseenfunctions.sql
	selectUnseen string
)

// SeeFunctions notes that the source listed the functions. A function that was gone
// and is listed again is no longer gone.
func (s *Store) SeeFunctions(ctx context.Context, source archive.SourceID, functions []archive.Function, at time.Time) ([]archive.Known, error) {
	urns, names := make([]string, 0, len(functions)), make([]string, 0, len(functions))
	modified := make(map[string]string, len(functions))
	for _, f := range functions {
		// A list may repeat a function, and an upsert must not touch a row twice.
		if _, listed := modified[f.URN]; !listed {
			urns, names = append(urns, f.URN), append(names, f.Name)
		}
		modified[f.URN] = f.Modified
	}
	known, err := pg.CollectBy(ctx, s.pool, scanKnown, "the listed functions", upsertFunctions, pg.Args{
		"provider": source.Provider, "region": source.Region, "project": source.ProjectID,
		"urns": urns, "names": names, "at": at,
	})
	for i := range known {
		known[i].Modified = modified[known[i].URN]
	}
	return known, err
}

// UnseenFunctions are the functions of the source that are not gone and were last
// listed before the given time, without versions other than the latest.
func (s *Store) UnseenFunctions(ctx context.Context, source archive.SourceID, before time.Time) ([]archive.Known, error) {
	return pg.CollectBy(ctx, s.pool, scanKnown, "unlisted functions", selectUnseen, pg.Args{
		"provider": source.Provider, "region": source.Region, "project": source.ProjectID, "before": before,
	})
}

func scanKnown(row pgx.CollectableRow) (k archive.Known, err error) {
	err = row.Scan(&k.ID, &k.URN, &k.Name, &k.Versioned)
	return k, err
}
