package load

import (
	"context"
	_ "embed" // statements
	"fmt"
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
	//go:embed endlist.sql
	endList string
	//go:embed exclude.sql
	exclude string
)

// SeeFunctions notes that the source listed the functions. A function that was gone and
// missing from a list, and is listed again, is no longer gone.
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

// UnseenFunctions are the functions of the source that were last listed before the given
// time, without versions other than the latest, and without functions that are gone and
// need not be asked again yet. It writes nothing: Claim.Gone notes when a function was
// asked.
func (s *Store) UnseenFunctions(ctx context.Context, source archive.SourceID, before time.Time, retention time.Duration) ([]archive.Known, error) {
	return pg.CollectBy(ctx, s.pool, scanKnown, "unlisted functions", selectUnseen, pg.Args{
		"provider": source.Provider, "region": source.Region, "project": source.ProjectID,
		"before": before, "retention": retention,
	})
}

// EndList notes whether the list of functions that began at this time was whole. A
// function that a whole list does not name is missing until a list names it again.
func (s *Store) EndList(ctx context.Context, source archive.SourceID, e *archive.ListError, at time.Time) error {
	var listed, counted *int // nil: count the functions that were listed
	var why *string
	if e != nil {
		text := pg.Storable(e.Error())
		listed, why = &e.Listed, &text
		if e.Counted >= 0 {
			counted = &e.Counted
		}
	}
	_, err := s.pool.Exec(ctx, endList, pg.Args{
		"provider": source.Provider, "region": source.Region, "project": source.ProjectID, "at": at,
		"whole": e == nil, "listed": listed, "counted": counted, "error": why,
	})
	if err != nil {
		return fmt.Errorf("note the list of functions: %w", err)
	}
	return nil
}

func scanKnown(row pgx.CollectableRow) (k archive.Known, err error) {
	var missing, gone *time.Time
	err = row.Scan(&k.ID, &k.URN, &k.Name, &k.Versioned, &k.FirstSeen, &missing, &gone, &k.Ignored)
	k.FirstSeen, k.Missing, k.Gone = k.FirstSeen.UTC(), pg.OrZero(missing).UTC(), pg.OrZero(gone).UTC()
	return k, err
}

// Exclude notes that the source of a pass reads some functions of its account, and leaves
// out others: all versions but the latest, if it does not read versions. A function that
// another source reads is not left out.
func (s *Store) Exclude(ctx context.Context, run archive.RunID, excluded, read []int32, versions bool, at time.Time) error {
	open, err := s.openRun(run)
	if err != nil {
		return err
	}
	s.runsMu.Lock()
	row := open.row
	s.runsMu.Unlock()
	_, err = s.pool.Exec(ctx, exclude, pg.Args{"run": row, "excluded": excluded, "read": read, "versions": versions, "at": at})
	if err != nil {
		return fmt.Errorf("note %d functions that are left out: %w", len(excluded), err)
	}
	return nil
}
