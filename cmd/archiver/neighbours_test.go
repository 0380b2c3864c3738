package main

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"archiver/internal/pgserver"
	"archiver/internal/pgserver/pgtest"
)

// An archive in a database that it shares: nothing runs while others may create objects in
// its schema, and then what the role's settings say does not matter. A second archive has
// schemas of its own.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	admin := pgtest.Database(t)
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	exec := func(as, sql string) {
		t.Helper()
		if err := pgserver.Exec(t.Context(), as, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	as := func(role string) string {
		of := *u
		of.User = url.UserPassword(role, "secret")
		return of.String()
	}
	keeper, other := "keeper_"+name, "other_"+name
	for _, role := range []string{keeper, other} {
		exec(admin, `CREATE ROLE `+role+` LOGIN PASSWORD 'secret'`)
		t.Cleanup(func() {
			for _, sql := range []string{`DROP OWNED BY ` + role + ` CASCADE`, `DROP ROLE ` + role} {
				if err := pgserver.Exec(context.Background(), admin, sql); err != nil {
					t.Error(err)
				}
			}
		})
	}
	exec(admin, `GRANT CREATE ON DATABASE `+name+` TO `+keeper)
	exec(admin, `GRANT CREATE ON SCHEMA public TO PUBLIC`) // as PostgreSQL did up to version 14
	for _, setting := range []string{`client_encoding = LATIN1`, `default_transaction_isolation = 'repeatable read'`, `search_path = evil`, `statement_timeout = '1min'`} {
		exec(admin, `ALTER ROLE `+keeper+` SET `+setting)
	}
	exec(as(other), `CREATE FUNCTION public.unnest(integer[]) RETURNS SETOF integer LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END'`)

	_, web := simulator(t, generated(t, 2, 300, 1))
	in := installOn(t, as(keeper), web.URL)
	backfill := []string{"backfill", "--from", "2026-03-29", "--to", "2026-03-30"}
	for _, args := range [][]string{backfill, {"once", "--dry-run"}, {"status"}, {"migrate", "up"}, {"check"}} {
		code, stdout, stderr := in.run(nil, args...)
		said := stdout + stderr
		if code != exitIncomplete || !strings.Contains(said, "REVOKE CREATE ON SCHEMA public FROM PUBLIC") ||
			!strings.Contains(said, "DROP FUNCTION public.unnest(integer[])") || !strings.Contains(said, "--schema") || strings.Contains(said, "hijacked") {
			t.Errorf("archiver %v: exit %d\n%s", args, code, said)
		}
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM pg_namespace WHERE nspname ~ '^archiver_'`); n != 0 {
		t.Errorf("%d schemas were made", n)
	}
	// A schema of its own at once, even with the worst of names, and public when it is safe.
	in.backfill("--schema", "archiver")
	exec(admin, `DROP FUNCTION public.unnest(integer[])`)
	exec(admin, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	exec(admin, `GRANT CREATE ON SCHEMA public TO `+keeper)
	in.backfill()
	for _, schema := range []string{"public", "archiver"} {
		if n := queryValue[int64](in, `SELECT count(*) FROM `+schema+`.invocation_history`); n != 300 {
			t.Errorf("%d rows in %s, want 300", n, schema)
		}
		if n := queryValue[int64](in, `SELECT sum(records)::bigint FROM `+schema+`.function_daily`); n != 300 {
			t.Errorf("%d records in the figures of %s, want 300", n, schema)
		}
	}
	schemas := queryValue[string](in, `SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspowner = '`+keeper+`'::regrole`)
	if schemas != "archiver archiver__days archiver__internal archiver_days archiver_internal" {
		t.Errorf("schemas: %s", schemas)
	}
	if code, stdout, stderr := in.run([]string{"ARCHIVER_SCHEMA=archiver"}, "once", "--retention", "30d", "--lookback", "1d"); code != exitDone || !strings.Contains(stderr, "day dropped") {
		t.Errorf("retention of the second archive: exit %d\n%s%s", code, stdout, stderr)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM archiver.invocation_history`); n != 0 {
		t.Errorf("%d rows in archiver, want 0", n)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM public.invocation_history`); n != 300 {
		t.Errorf("%d rows in public, want 300", n)
	}
	// No function that the owner calls meets objects by the search_path of a session.
	unpinned := queryValue[string](in, `
		SELECT COALESCE(string_agg(p.oid::regprocedure::text, ', '), '')
		  FROM pg_proc p
		 WHERE p.proowner = '`+keeper+`'::regrole AND p.prokind = 'f' AND p.proname <> 'duration_bucket'
		   AND NOT COALESCE(p.proconfig::text ~ 'search_path=pg_catalog.*, pg_temp', false)`)
	if unpinned != "" {
		t.Errorf("functions without a search_path of their own: %s", unpinned)
	}
	for _, bad := range []string{"Upper", "pg_x", "a b", "archiver_internal", "x_days", strings.Repeat("a", 54)} {
		code, _, stderr := in.run(nil, "status", "--schema", bad)
		if said := regexp.MustCompile(`--schema.* is not a name`); code != exitUsage || !said.MatchString(stderr) {
			t.Errorf("--schema %q: exit %d\n%s", bad, code, stderr)
		}
	}
}
