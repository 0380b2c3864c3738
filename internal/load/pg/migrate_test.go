package pg

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"archiver/internal/pgserver"
	"archiver/internal/pgserver/pgtest"
)

// Several processes that start at once all migrate. Each step is applied once. A version
// that does not know all steps does not start.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	const n = 4
	var all sync.WaitGroup
	var applied [n][]Migration
	for i := range n {
		all.Go(func() {
			var err error
			if applied[i], err = MigrateUp(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	steps := 0
	for _, by := range applied {
		steps += len(by)
	}
	db, err := Open(t.Context(), url, 1, slog.New(slog.DiscardHandler), ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	status, err := db.Migrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if steps != len(status) {
		t.Errorf("%d steps were applied, of %d", steps, len(status))
	}
	if err := pgserver.Exec(t.Context(), url, `INSERT INTO archiver_internal.goose_db_version (version_id, is_applied) VALUES (99, true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := MigrateUp(t.Context(), url); err == nil || !strings.Contains(err.Error(), "a newer version of archiver has made the schema") {
		t.Errorf("an older version: %v", err)
	}
}

// The versions of an application that uses goose too are not those of the archive.
func TestMigrationsOfAnother(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if err := pgserver.Exec(t.Context(), url, `
		CREATE TABLE public.goose_db_version (version_id bigint, is_applied boolean);
		INSERT INTO public.goose_db_version VALUES (1, true), (2, true)`); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), url, 1, slog.New(slog.DiscardHandler), ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	steps, err := db.Migrations(t.Context())
	if err != nil || len(steps) == 0 {
		t.Fatal(steps, err)
	}
	for _, step := range steps {
		if step.Applied {
			t.Errorf("step %d counts as applied", step.Version)
		}
	}
}
