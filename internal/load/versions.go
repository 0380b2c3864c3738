package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// Unlisted are those of the functions whose versions are to be listed (again),
// in another order each time.
func (s *Store) Unlisted(ctx context.Context, latest []archive.Known, at time.Time) ([]archive.Known, error) {
	ids, marks := make([]int32, len(latest)), make([]string, len(latest))
	of := make(map[int32]archive.Known, len(latest))
	for i, f := range latest {
		ids[i], marks[i], of[f.ID] = f.ID, pg.Storable(f.Modified), f
	}
	rows, err := s.pool.Query(ctx, `
		SELECT function_id
		  FROM functions f
		  JOIN unnest($1::integer[], $2::text[]) AS n (id, mark) ON n.id = f.function_id
		 WHERE versions_at IS NULL OR versions_at <= $3 OR versions_mark IS DISTINCT FROM mark
		 ORDER BY hashint8extended(function_id, EXTRACT(EPOCH FROM $4::timestamptz)::bigint)`,
		ids, marks, at.Add(-archive.VersionsAge), at)
	if err != nil {
		return nil, fmt.Errorf("select functions without a list of versions: %w", err)
	}
	unlisted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (archive.Known, error) {
		var id int32
		err := row.Scan(&id)
		return of[id], err
	})
	if err != nil {
		return nil, fmt.Errorf("read functions without a list of versions: %w", err)
	}
	return unlisted, nil
}

// SeeVersions notes the versions of a function. A version that was gone and is
// listed again is there again.
func (s *Store) SeeVersions(ctx context.Context, latest archive.Known, versions []archive.Function, at time.Time) error {
	urns, names := make([]string, len(versions)), make([]string, len(versions))
	for i, f := range versions {
		urns[i], names[i] = f.URN, f.Name
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO functions AS f (provider, region, project_id, function_urn, function_name, first_seen, last_seen, latest_id)
		SELECT DISTINCT ON (n.urn) l.provider, l.region, l.project_id, n.urn, n.name, $4::timestamptz, $4, l.function_id
		  FROM functions l, unnest($2::text[], $3::text[]) AS n (urn, name)
		 WHERE l.function_id = $1
		 ORDER BY n.urn
		    ON CONFLICT (provider, region, project_id, function_urn) DO UPDATE
		   SET function_name = EXCLUDED.function_name,
		       latest_id = EXCLUDED.latest_id,
		       last_seen = GREATEST(f.last_seen, EXCLUDED.last_seen),
		       gone_at = NULL
		 WHERE f.function_id <> EXCLUDED.latest_id`, latest.ID, urns, names, at)
	if err != nil {
		return fmt.Errorf("upsert %d versions: %w", len(urns), err)
	}
	return nil
}

// SeeAliases notes the aliases of a function. Others that it had are no more.
func (s *Store) SeeAliases(ctx context.Context, latest archive.Known, aliases []archive.Alias, at time.Time) error {
	n := len(aliases)
	names, versions := make([]string, n), make([]string, n)
	descriptions, additional := make([]string, n), make([]string, n)
	for i, a := range aliases {
		names[i], versions[i], descriptions[i], additional[i] = a.Name, a.Version, a.Description, string(a.Additional)
	}
	var batch pgx.Batch // one transaction
	batch.Queue(`DELETE FROM function_aliases WHERE function_id = $1 AND alias_name <> ALL ($2)`, latest.ID, names)
	batch.Queue(`
		INSERT INTO function_aliases (function_id, alias_name, version, description, additional_versions, last_seen)
		SELECT DISTINCT ON (a.name) $1::integer, a.name, a.version, NULLIF(a.description, ''), NULLIF(a.additional, '')::jsonb, $6::timestamptz
		  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS a (name, version, description, additional)
		 ORDER BY a.name
		    ON CONFLICT (function_id, alias_name) DO UPDATE
		   SET version = EXCLUDED.version,
		       description = EXCLUDED.description,
		       additional_versions = EXCLUDED.additional_versions,
		       last_seen = EXCLUDED.last_seen`, latest.ID, names, versions, descriptions, additional, at)
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("upsert %d aliases: %w", n, err)
	}
	return nil
}

// Listed notes that the versions and aliases of a function were asked for.
func (s *Store) Listed(ctx context.Context, latest archive.Known, at time.Time) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE functions
		   SET versions_at = $2, versions_mark = $3
		 WHERE function_id = $1`, latest.ID, at, pg.Storable(latest.Modified))
	if err != nil {
		return fmt.Errorf("update %s: %w", latest.Name, err)
	}
	return nil
}

// Versions are those of the source's functions that are not gone, without the
// latest.
func (s *Store) Versions(ctx context.Context, source archive.SourceID) ([]archive.Known, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT function_id, function_urn, function_name, latest_id
		  FROM functions
		 WHERE provider = $1 AND region = $2 AND project_id = $3 AND gone_at IS NULL AND latest_id IS NOT NULL
		 ORDER BY function_id`, source.Provider, source.Region, source.ProjectID)
	if err != nil {
		return nil, fmt.Errorf("select versions: %w", err)
	}
	versions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (archive.Known, error) {
		v := archive.Known{Versioned: true}
		err := row.Scan(&v.ID, &v.URN, &v.Name, &v.LatestID)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	return versions, nil
}
