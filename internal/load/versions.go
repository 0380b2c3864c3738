package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// Unlisted are those of the functions whose versions are to be listed (again),
// in another order each time.
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
		 WHERE function_id = $1`, latest.ID, at, storable(latest.Modified))
	if err != nil {
		return fmt.Errorf("update %s: %w", latest.Name, err)
	}
	return nil
}

// maxKept is how far back the latest's windows tell of its versions: no more
// than the usual log keeps.
const maxKept = 31 * 24 * time.Hour

// Versions are those of the source's functions, beside the latest, that are not
// gone. None is covered by a function that is.
func (s *Store) Versions(ctx context.Context, source archive.SourceID, at time.Time) ([]archive.Version, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT v.function_id, v.function_urn, v.function_name, l.function_id, l.function_urn, l.function_name,
		       v.covered_since IS NOT NULL AND l.gone_at IS NULL,
		       v.covered_at IS NULL OR v.covered_at <= $4, v.covered_to,
		       GREATEST(t.complete_from, t.complete_to - $5::interval), t.complete_to,
		       COALESCE(o.open > 0 OR o.pending > 0, false)
		  FROM functions v
		  JOIN functions l ON l.function_id = v.latest_id
		  LEFT JOIN archiver_internal.window_totals t ON t.function_id = l.function_id
		  LEFT JOIN archiver_internal.window_totals o ON o.function_id = v.function_id
		 WHERE v.provider = $1 AND v.region = $2 AND v.project_id = $3 AND v.gone_at IS NULL
		 ORDER BY v.function_id`,
		source.Provider, source.Region, source.ProjectID, at.Add(-archive.VersionsAge), maxKept)
	if err != nil {
		return nil, fmt.Errorf("select versions: %w", err)
	}
	versions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v archive.Version, err error) {
		var looked, from, to *time.Time
		err = row.Scan(&v.ID, &v.URN, &v.Name, &v.Latest.ID, &v.Latest.URN, &v.Latest.Name,
			&v.Covered, &v.LookAgain, &looked, &from, &to, &v.Begun)
		v.LatestID, v.Versioned, v.Latest.Versioned = v.Latest.ID, true, true
		if looked != nil {
			v.LookedTo = looked.UTC()
		}
		if from != nil && to != nil {
			v.Complete = archive.Span{From: from.UTC(), To: to.UTC()}
		}
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	return versions, nil
}

// Cover notes whether a version is covered, as far as it was looked at.
func (s *Store) Cover(ctx context.Context, v archive.Version, covered bool, to, at time.Time) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE functions
		   SET covered_at = $3, covered_to = GREATEST(covered_to, $4),
		       covered_since = CASE WHEN $2 THEN COALESCE(covered_since, $3) END
		 WHERE function_id = $1`, v.ID, covered, at, to)
	if err != nil {
		return fmt.Errorf("update %s: %w", v.URN, err)
	}
	return nil
}

// VersionGone notes that the source does not know a version any more that is
// covered: it has nothing due that would be gone with it.
func (s *Store) VersionGone(ctx context.Context, v archive.Version, at time.Time) error {
	_, err := s.pool.Exec(ctx, `UPDATE functions SET gone_at = $2 WHERE function_id = $1 AND gone_at IS NULL`, v.ID, at)
	if err != nil {
		return fmt.Errorf("update %s: %w", v.URN, err)
	}
	return nil
}

// Doubt has the source asked again for the count of a complete window.
func (s *Store) Doubt(ctx context.Context, f archive.Known, window time.Time) error {
	var batch pgx.Batch // one transaction
	batch.Queue(lockTotals, []int32{f.ID})
	batch.Queue(`
		UPDATE archiver_internal.windows
		   SET verified_at = NULL
		 WHERE function_id = $1 AND window_start = $2 AND state = 'complete'`, f.ID, window)
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("update the window: %w", err)
	}
	return nil
}

// Unarchived are those records of a version's page that the archive has not
// under the latest.
func (s *Store) Unarchived(ctx context.Context, latest archive.Known, page []archive.Invocation) ([]archive.Invocation, error) {
	if len(page) == 0 {
		return nil, nil
	}
	ids := make([]string, len(page))
	var from, to time.Time
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
		SELECT request_id FROM archiver_days.invocations_in_flight WHERE request_id = ANY ($1) AND function_id = $2
		UNION ALL
		SELECT request_id FROM archiver_days.invocations_undated WHERE request_id = ANY ($1) AND function_id = $2
		UNION ALL
		SELECT request_id
		  FROM archiver_days.invocations_dated
		 WHERE request_id = ANY ($1) AND function_id = $2 AND start_time >= $3 AND start_time <= $4`,
		ids, latest.ID, from.Add(-maxLife), to.Add(maxLife))
	if err != nil {
		return nil, fmt.Errorf("look up %d request ids: %w", len(ids), err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read request ids: %w", err)
	}
	held := make(map[string]bool, len(found))
	for _, id := range found {
		held[id] = true
	}
	var not []archive.Invocation
	for i := range page {
		if !held[page[i].RequestID] {
			not = append(not, page[i])
		}
	}
	return not, nil
}
