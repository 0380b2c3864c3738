package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// Unlisted are those of the functions whose versions are to be listed (again).
func (s *Store) Unlisted(ctx context.Context, latest []archive.Known, at time.Time) ([]archive.Known, error) {
	ids, marks := make([]int32, len(latest)), make([]string, len(latest))
	of := make(map[int32]archive.Known, len(latest))
	for i, f := range latest {
		ids[i], marks[i], of[f.ID] = f.ID, storable(f.Modified), f
	}
	rows, err := s.pool.Query(ctx, `
		SELECT function_id
		  FROM functions f
		  JOIN unnest($1::integer[], $2::text[]) AS n (id, mark) ON n.id = f.function_id
		 WHERE versions_at IS NULL OR versions_at <= $3 OR versions_mark IS DISTINCT FROM mark
		 ORDER BY function_id`, ids, marks, at.Add(-archive.VersionsAge))
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

// SeeVersions notes the versions and aliases of a function. A version that was
// gone and is listed again is there again.
func (s *Store) SeeVersions(ctx context.Context, latest archive.Known, v archive.Versions, at time.Time) error {
	var urns, names []string
	for _, f := range v.Functions {
		if !slices.Contains(urns, f.URN) {
			urns, names = append(urns, f.URN), append(names, f.Name)
		}
	}
	slices.SortFunc(v.Aliases, func(a, b archive.Alias) int { return cmp.Compare(a.Name, b.Name) })
	v.Aliases = slices.CompactFunc(v.Aliases, func(a, b archive.Alias) bool { return a.Name == b.Name })
	var aliases, versions, descriptions, additional []string
	for _, a := range v.Aliases {
		aliases, versions = append(aliases, a.Name), append(versions, a.Version)
		descriptions, additional = append(descriptions, a.Description), append(additional, string(a.Additional))
	}
	var batch pgx.Batch // one transaction
	batch.Queue(`
		UPDATE functions
		   SET versions_at = $2, versions_mark = $3
		 WHERE function_id = $1`, latest.ID, at, storable(latest.Modified))
	batch.Queue(`
		INSERT INTO functions AS f (provider, region, project_id, function_urn, function_name, first_seen, last_seen, latest_id)
		SELECT l.provider, l.region, l.project_id, n.urn, n.name, $4, $4, l.function_id
		  FROM functions l, unnest($2::text[], $3::text[]) AS n (urn, name)
		 WHERE l.function_id = $1
		 ORDER BY n.urn
		    ON CONFLICT (provider, region, project_id, function_urn) DO UPDATE
		   SET function_name = EXCLUDED.function_name,
		       latest_id = EXCLUDED.latest_id,
		       last_seen = GREATEST(f.last_seen, EXCLUDED.last_seen),
		       gone_at = NULL
		 WHERE f.function_id <> EXCLUDED.latest_id`, latest.ID, urns, names, at)
	batch.Queue(`DELETE FROM function_aliases WHERE function_id = $1 AND alias_name <> ALL ($2)`, latest.ID, append([]string{}, aliases...))
	batch.Queue(`
		INSERT INTO function_aliases (function_id, alias_name, version, description, additional_versions, last_seen)
		SELECT $1, a.name, a.version, NULLIF(a.description, ''), NULLIF(a.additional, '')::jsonb, $6
		  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS a (name, version, description, additional)
		    ON CONFLICT (function_id, alias_name) DO UPDATE
		   SET version = EXCLUDED.version,
		       description = EXCLUDED.description,
		       additional_versions = EXCLUDED.additional_versions,
		       last_seen = EXCLUDED.last_seen`, latest.ID, aliases, versions, descriptions, additional, at)
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("upsert %d versions and %d aliases: %w", len(urns), len(aliases), err)
	}
	return nil
}

// Versions are those of the source's functions, beside the latest, that are not
// gone. What is looked at of one are the hours that its latest is complete in,
// from the last look on, and no more of them than a source keeps.
func (s *Store) Versions(ctx context.Context, source archive.SourceID, at time.Time) ([]archive.Version, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT v.function_id, v.function_urn, v.function_name, v.latest_id, l.function_urn,
		       v.covered_since IS NOT NULL AND l.gone_at IS NULL,
		       v.covered_at IS NULL OR v.covered_at <= $4,
		       GREATEST(t.complete_from, t.complete_to - interval '31 days',
			v.covered_to - interval '1 hour'), t.complete_to
		  FROM functions v
		  JOIN functions l ON l.function_id = v.latest_id
		  LEFT JOIN window_totals t ON t.function_id = l.function_id
		 WHERE v.provider = $1 AND v.region = $2 AND v.project_id = $3 AND v.gone_at IS NULL
		 ORDER BY v.function_id`,
		source.Provider, source.Region, source.ProjectID, at.Add(-archive.VersionsAge))
	if err != nil {
		return nil, fmt.Errorf("select versions: %w", err)
	}
	versions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v archive.Version, err error) {
		var from, to *time.Time
		v.Versioned = true
		err = row.Scan(&v.ID, &v.URN, &v.Name, &v.LatestID, &v.LatestURN, &v.Covered, &v.LookAgain, &from, &to)
		if from != nil && to != nil && from.Before(*to) {
			v.Latest = archive.Span{From: from.UTC(), To: to.UTC()}
		}
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	return versions, nil
}

// Cover notes whether a version is covered.
func (s *Store) Cover(ctx context.Context, v archive.Version, covered bool, at time.Time) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE functions
		   SET covered_at = $3, covered_to = $4,
		       covered_since = CASE WHEN $2 THEN COALESCE(covered_since, $3) END
		 WHERE function_id = $1`, v.ID, covered, at, v.Latest.To)
	if err != nil {
		return fmt.Errorf("update %s: %w", v.URN, err)
	}
	return nil
}

// Elsewhere splits a page of a version's records: those that the archive has
// under another function, and the others.
func (s *Store) Elsewhere(ctx context.Context, v archive.Known, page []archive.Invocation) (there, not []archive.Invocation, err error) {
	if len(page) == 0 {
		return nil, nil, nil
	}
	ids := make([]string, len(page))
	from, to := time.Time{}, time.Time{}
	for i := range page {
		ids[i] = page[i].RequestID
		switch start := page[i].Start; {
		case start.IsZero():
		case from.IsZero():
			from, to = start, start
		case start.Before(from):
			from = start
		case start.After(to):
			to = start
		}
	}
	rows, err := s.pool.Query(ctx, `
		SELECT request_id FROM invocations_in_flight WHERE request_id = ANY ($1) AND function_id <> $2
		UNION ALL
		SELECT request_id FROM invocations_undated WHERE request_id = ANY ($1) AND function_id <> $2
		UNION ALL
		SELECT request_id
		  FROM invocations_dated
		 WHERE request_id = ANY ($1) AND function_id <> $2 AND start_time >= $3 AND start_time <= $4`,
		ids, v.ID, from.Add(-maxLife), to.Add(maxLife))
	if err != nil {
		return nil, nil, fmt.Errorf("look up %d request ids: %w", len(ids), err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, nil, fmt.Errorf("read request ids: %w", err)
	}
	held := make(map[string]bool, len(found))
	for _, id := range found {
		held[id] = true
	}
	for i := range page {
		if held[page[i].RequestID] {
			there = append(there, page[i])
		} else {
			not = append(not, page[i])
		}
	}
	return there, not, nil
}
