package main

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"archiver/internal/pgserver"
)

// ownServer is a PostgreSQL of the test's own.
func ownServer(t *testing.T, name string, o pgserver.Options) *pgserver.Server {
	t.Helper()
	o.Dir = filepath.Join("..", "..", ".archiver", "test-"+strconv.Itoa(os.Getpid())+"-"+name)
	o.Fast, o.InMemory = true, true
	server, err := pgserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if err := pgserver.Remove(context.Background(), o.Dir); err != nil {
			t.Error(err)
		}
	})
	return server
}

// strangePassword has every character that some way of writing an address escapes.
const strangePassword = `p@s's"w\o%41r d&#/?:=+<é` + "`x"

// passwordForms are the forms in which a library may show it.
func passwordForms() []string {
	quoted, _ := json.Marshal(strangePassword)
	return []string{
		strangePassword, url.QueryEscape(strangePassword), url.PathEscape(strangePassword), url.UserPassword("u", strangePassword).String()[2:],
		strings.Trim(strconv.Quote(strangePassword), `"`), strings.Trim(string(quoted), `"`),
		strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(strangePassword),
	}
}

// A role that may only read does all that only reads, on the primary and on a standby.
// Addresses with several hosts work in every command, and no output has the password.
func TestReaderAndHosts(t *testing.T) {
	t.Parallel()
	primary := ownServer(t, "primary", pgserver.Options{})
	standby := ownServer(t, "standby", pgserver.Options{StandbyOf: primary})
	host := func(s *pgserver.Server) string {
		u, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	of := func(role, hosts, attributes string) string {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(role, strangePassword), Host: hosts, Path: "/archiver"}
		u.RawQuery = "sslmode=disable"
		if attributes != "" {
			u.RawQuery += "&target_session_attrs=" + attributes
		}
		return "DATABASE_URL=" + u.String()
	}
	exec := func(sql string) {
		t.Helper()
		if err := pgserver.Exec(t.Context(), primary.URL(), sql); err != nil {
			t.Fatal(err)
		}
	}
	secret := " LOGIN PASSWORD '" + strings.ReplaceAll(strangePassword, "'", "''") + "'"
	exec(`CREATE ROLE keeper` + secret + `; GRANT CREATE ON DATABASE archiver TO keeper`)
	exec(`CREATE ROLE archiver_reader; CREATE ROLE analyst IN ROLE archiver_reader` + secret + `; CREATE ROLE stranger` + secret)
	const replayed = `DO $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_insert_lsn()) LOOP
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
	END $$`
	exec(replayed) // before the standby knows the roles, it refuses their passwords

	data := generated(t, 2, 300, 1)
	_, web := simulator(t, data)
	in := installOn(t, primary.URL(), web.URL)
	in.env = append(in.env, "ARCHIVER_SCHEMA=kept")
	run := func(env string, want int, says string, args ...string) {
		t.Helper()
		code, stdout, stderr := in.run([]string{env}, args...)
		said := stdout + stderr
		if code != want || !strings.Contains(said, says) || strings.Contains(said, "permission denied") {
			t.Errorf("archiver %s: exit %d, want %d and %q\n%s", strings.Join(args, " "), code, want, says, said)
		}
		for _, form := range passwordForms() {
			if strings.Contains(said, form) {
				t.Errorf("archiver %s shows the password as %s", strings.Join(args, " "), form)
			}
		}
	}
	both, one, other := host(standby)+","+host(primary), host(primary), host(standby)
	run(of("keeper", both, "prefer-standby"), exitDone, "new records", "backfill", "--from", "2026-03-29", "--to", "2026-03-30")
	run(of("keeper", other, ""), exitIncomplete, "it is a standby: nothing can be archived there", "backfill", "--database-patience", "0s", "--from", "2026-03-29", "--to", "2026-03-30")
	run(of("keeper", both, ""), exitDone, "0 differ", "verify", "--repair", "--from", "2026-03-29", "--to", "2026-03-30")
	log, err := os.ReadFile(filepath.Join("..", "..", ".archiver", "test-"+strconv.Itoa(os.Getpid())+"-primary", "postgres.log"))
	if err != nil || strings.Contains(string(log), "WARNING") {
		t.Errorf("the server warns, %v:\n%s", err, log)
	}
	exec(replayed)
	for _, attributes := range []string{"any", "read-write", "read-only", "primary", "standby", "prefer-standby"} {
		run(of("keeper", both, attributes), exitDone, "windows of 0 functions acknowledged", "acknowledge", "--before", "2026-01-01")
		run(of("analyst", both, attributes), exitDone, `"complete": 24`, "status", "--json")
	}
	function := data.Functions()[0]
	for _, hosts := range []string{one, other} {
		analyst := of("analyst", hosts, "")
		run(analyst, exitDone, "complete", "status")
		run(analyst, exitDone, "", "report", "--out", filepath.Join(t.TempDir(), "report.html"))
		run(analyst, exitDone, "applied  00001_schema.sql", "migrate", "status")
		run(analyst, exitDone, "limits are believed", "limits")
		run(analyst, exitDone, "REQUEST ID", "query", "--archived", "--function", function, "--from", "2026-03-29", "--to", "2026-03-30", "--limit", "1")
	}
	run(of("analyst", one, ""), exitDone, "warn  database "+one+"/archiver: the role analyst may only read", "check", "--retention", "400d")
	run(of("analyst", other, ""), exitIncomplete, "FAIL  database "+other+"/archiver: it is a standby", "check")
	run(of("analyst", one, "read-only"), exitDone, "complete", "status")
	run(of("analyst", both, "standby"), exitDone, "the schema is up to date", "check")
	for _, args := range [][]string{{"status"}, {"check"}} {
		run(of("stranger", one, ""), exitIncomplete, "may not look into the schema kept_internal of keeper: connect as keeper, or GRANT archiver_reader TO stranger", args...)
	}
	run(of("nobody", both, ""), exitIncomplete, "password authentication failed", "status")
	run(of("nobody", "127.0.0.1:1", ""), exitIncomplete, "127.0.0.1:1", "status")
	run("DATABASE_URL=postgres://keeper:"+strangePassword+"@"+one+"/archiver", exitUsage, "DATABASE_URL", "status")
	if code, stdout, stderr := in.run([]string{"DATABASE_URL=", of("keeper", one, "")[:12] + "_FILE=" + of("keeper", one, "")[13:]}, "status"); code != exitUsage || strings.Contains(stdout+stderr, url.PathEscape(strangePassword)) ||
		!strings.Contains(stderr, "read DATABASE_URL_FILE: no such file") {
		t.Errorf("an address as the name of a file: exit %d\n%s%s", code, stdout, stderr)
	}
	// The address as keywords, with a parameter that libpq does not have.
	run(`DATABASE_URL=hosts=x host=127.0.0.1 user=analyst sslmode=disable dbname=archiver port=`+strings.TrimPrefix(one, "127.0.0.1:")+
		` password='`+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(strangePassword)+`'`, exitDone, "parameters that are not used: hosts", "status")
}
