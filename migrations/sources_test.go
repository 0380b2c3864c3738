package migrations

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The functions and runs of an older archive become sources. If there is one, the runs are
// its own. If there are several, nobody knows whose they were.
func TestSourcesOfAnOlderArchive(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		projects string
		want     []string
	}{
		"one source": {"('p')", []string{"functiongraph/eu-de/p complete 01:00:00 2 runs t"}},
		"two":        {"('p'), ('q')", []string{"functiongraph/eu-de/p  01:00:00 0 runs t", "functiongraph/eu-de/q  01:00:00 0 runs t"}},
		"none":       {"(NULL)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			provider, err := NewProvider(db, inPublic)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := provider.UpTo(t.Context(), 6); err != nil {
				t.Fatal(err)
			}
			for _, statement := range []string{
				`INSERT INTO functions (provider, region, project_id, function_urn, function_name, first_seen, last_seen)
				 SELECT 'functiongraph', 'eu-de', p, 'urn:' || p || n, 'f', now(), now() FROM (VALUES ` + test.projects + `) AS v (p), generate_series(1, 2) AS n WHERE p IS NOT NULL`,
				`INSERT INTO runs (asked_by, range_from, range_to, started_at, finished_at, outcome)
				 VALUES ('run', now(), now(), now(), now(), 'complete'), ('backfill', now(), now(), now(), now(), 'failed')`,
			} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := provider.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := collect(t, db, `
				SELECT concat_ws(' ', name, COALESCE(last_outcome, ''), pass_every, (SELECT count(*) FROM runs r WHERE r.source_id = s.source_id), 'runs', due_by > now()), ''
				  FROM sources s`)
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := provider.DownTo(t.Context(), 6); err != nil {
				t.Error(err)
			}
		})
	}
}
