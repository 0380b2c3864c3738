package days

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// A Newest is how far a source is archived: the end of its newest window that is complete,
// off or expired. It is zero if there is none.
type Newest struct {
	Source archive.SourceID
	End    time.Time
}

//go:embed newest.sql
var selectNewest string

// Newest returns how far each source that has windows is archived.
func (s *Days) Newest(ctx context.Context) ([]Newest, error) {
	type row struct {
		Provider, Region, Project string
		Newest                    *time.Time
	}
	rows, err := pg.Collect[row](ctx, s.db.Pool, "how far sources are archived", selectNewest, pg.Args{})
	newest := make([]Newest, len(rows))
	for i, r := range rows {
		newest[i].Source = archive.SourceID{Provider: r.Provider, Region: r.Region, ProjectID: r.Project}
		if r.Newest != nil {
			newest[i].End = *r.Newest
		}
	}
	return newest, err
}

// LastPass returns when the last pass of run or once began that did not fail as a whole;
// zero if there was none.
func (s *Days) LastPass(ctx context.Context) (began time.Time, err error) {
	err = s.db.Pool.QueryRow(ctx, `
		SELECT started_at
		  FROM runs
		 WHERE asked_by IN ('run', 'once') AND outcome IN ('complete', 'incomplete')
		 ORDER BY run_id DESC
		 LIMIT 1`).Scan(&began)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return began, fmt.Errorf("select the last pass: %w", err)
	}
	return began, nil
}
