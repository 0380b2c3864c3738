package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// SeeFunctions notes that the source listed the functions. One that was gone
// and is listed again is there again.
func (s *Store) SeeFunctions(ctx context.Context, source archive.SourceID, functions []archive.Function, at time.Time) ([]archive.Known, error) {
	urns, names := make([]string, 0, len(functions)), make([]string, 0, len(functions))
	listed := make(map[string]bool, len(functions))
	for _, f := range functions {
		// A statement must not touch a row twice, and a list may repeat itself.
		if !listed[f.URN] {
			listed[f.URN] = true
			urns, names = append(urns, f.URN), append(names, f.Name)
		}
	}
	rows, err := s.pool.Query(ctx, `
		INSERT INTO functions AS f (provider, region, project_id, function_urn, function_name, first_seen, last_seen)
		SELECT $1, $2, $3, n.urn, n.name, $6, $6
		  FROM unnest($4::text[], $5::text[]) AS n (urn, name)
		 ORDER BY n.urn
		    ON CONFLICT (provider, region, project_id, function_urn) DO UPDATE
		   SET function_name = EXCLUDED.function_name,
		       last_seen = GREATEST(f.last_seen, EXCLUDED.last_seen),
		       gone_at = NULL
		RETURNING f.function_id, f.function_urn, f.function_name, `+isVersioned,
		source.Provider, source.Region, source.ProjectID, urns, names, at)
	if err != nil {
		return nil, fmt.Errorf("upsert %d functions: %w", len(urns), err)
	}
	known, err := collectKnown(rows)
	marks := make(map[string]string, len(functions))
	for _, f := range functions {
		marks[f.URN] = f.Modified
	}
	for i := range known {
		known[i].Modified = marks[known[i].URN]
	}
	return known, err
}

// UnseenFunctions are those of the source that are not gone and were last
// listed before the time given. Versions beside the latest are listed otherwise.
func (s *Store) UnseenFunctions(ctx context.Context, source archive.SourceID, before time.Time) ([]archive.Known, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT function_id, function_urn, function_name, `+isVersioned+`
		  FROM functions f
		 WHERE provider = $1 AND region = $2 AND project_id = $3
		   AND gone_at IS NULL AND latest_id IS NULL AND last_seen < $4
		 ORDER BY function_id`,
		source.Provider, source.Region, source.ProjectID, before)
	if err != nil {
		return nil, fmt.Errorf("select unlisted functions: %w", err)
	}
	return collectKnown(rows)
}

// isVersioned reports whether a function f as it is listed has other versions.
const isVersioned = `EXISTS (SELECT FROM functions v WHERE v.latest_id = f.function_id)`

func collectKnown(rows pgx.Rows) ([]archive.Known, error) {
	known, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k archive.Known, err error) {
		err = row.Scan(&k.ID, &k.URN, &k.Name, &k.Versioned)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read functions: %w", err)
	}
	return known, nil
}
