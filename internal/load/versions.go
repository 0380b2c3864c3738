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
	//go:embed unlisted.sql
	selectUnlisted string
	//go:embed seeversions.sql
	upsertVersions string
	//go:embed seealiases.sql
	upsertAliases string
)

// Unlisted are the functions whose versions are to be listed: versions that were
// never listed, were listed archive.VersionsAge ago, or have changed since.
func (s *Store) Unlisted(ctx context.Context, latest []archive.Known, at time.Time) ([]archive.Known, error) {
	ids, marks := make([]int32, len(latest)), make([]string, len(latest))
	of := make(map[int32]archive.Known, len(latest))
	for i, f := range latest {
		ids[i], marks[i], of[f.ID] = f.ID, pg.Storable(f.Modified), f
	}
	return pg.CollectBy(ctx, s.pool, func(row pgx.CollectableRow) (archive.Known, error) {
		var id int32
		err := row.Scan(&id)
		return of[id], err
	}, "functions without a list of versions", selectUnlisted, pg.Args{
		"functions": ids, "marks": marks, "before": at.Add(-archive.VersionsAge),
	})
}

// SeeVersions notes the versions of a function. A version that was gone and is
// listed again is no longer gone.
func (s *Store) SeeVersions(ctx context.Context, latest archive.Known, versions []archive.Function, at time.Time) error {
	urns, names := make([]string, len(versions)), make([]string, len(versions))
	for i, f := range versions {
		urns[i], names[i] = f.URN, f.Name
	}
	_, err := s.pool.Exec(ctx, upsertVersions, pg.Args{"latest": latest.ID, "urns": urns, "names": names, "at": at})
	if err != nil {
		return fmt.Errorf("upsert %d versions: %w", len(urns), err)
	}
	return nil
}

// SeeAliases notes the aliases of a function, and deletes aliases that it had and no
// longer has.
func (s *Store) SeeAliases(ctx context.Context, latest archive.Known, aliases []archive.Alias, at time.Time) error {
	n := len(aliases)
	names, versions := make([]string, n), make([]string, n)
	descriptions, additional := make([]string, n), make([]string, n)
	for i, a := range aliases {
		names[i], versions[i], descriptions[i], additional[i] = a.Name, a.Version, a.Description, string(a.Additional)
	}
	var batch pgx.Batch // one transaction
	batch.Queue(`DELETE FROM function_aliases WHERE function_id = $1 AND alias_name <> ALL ($2)`, latest.ID, names)
	batch.Queue(upsertAliases, pg.Args{
		"latest": latest.ID, "names": names, "versions": versions,
		"descriptions": descriptions, "additional": additional, "at": at,
	})
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("upsert %d aliases: %w", n, err)
	}
	return nil
}

// Listed notes that the versions and aliases of a function were listed.
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

// Versions are the versions of the source's functions that are not gone, without the
// latest ones.
func (s *Store) Versions(ctx context.Context, source archive.SourceID) ([]archive.Known, error) {
	return pg.CollectBy(ctx, s.pool, func(row pgx.CollectableRow) (archive.Known, error) {
		v := archive.Known{Versioned: true}
		var missing *time.Time
		err := row.Scan(&v.ID, &v.URN, &v.Name, &v.LatestID, &v.FirstSeen, &missing, &v.Ignored)
		v.FirstSeen, v.Missing = v.FirstSeen.UTC(), pg.OrZero(missing).UTC()
		return v, err
	}, "versions", `
		SELECT v.function_id, v.function_urn, v.function_name, v.latest_id, v.first_seen, l.missing_since, v.ignored_at IS NOT NULL
		  FROM functions v
		  JOIN functions l ON l.function_id = v.latest_id
		 WHERE v.provider = $1 AND v.region = $2 AND v.project_id = $3 AND v.gone_at IS NULL
		 ORDER BY v.function_id`, source.Provider, source.Region, source.ProjectID)
}
