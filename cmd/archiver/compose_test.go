package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver"
)

// The compose file's PostgreSQL makes a role with a password of its own, which owns its
// database and no more, and with which the archiver archives.
func TestComposeDatabase(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 2, 200, 1))
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := pgserver.Start(t.Context(), pgserver.Options{Dir: filepath.Join(dir, "server"), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	// As in PostgreSQL's image, no role is named archiver.
	conn, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `CREATE ROLE other SUPERUSER LOGIN PASSWORD 'other'`); err != nil {
		t.Fatal(err)
	}
	config := conn.Config()
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	superuser := config.Copy()
	superuser.User, superuser.Password = "other", "other"
	conn, err = pgx.ConnectConfig(t.Context(), superuser)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `ALTER ROLE archiver RENAME TO postgres`); err != nil {
		t.Fatal(err)
	}

	compose := filepath.Join("..", "..", "deploy", "postgres")
	script, err := os.ReadFile(filepath.Join(compose, "start.sh"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(dir, "run")
	start := strings.ReplaceAll(string(script), "/run/archiver", secrets)
	// What stands for the image's own script runs the SQL once.
	sql, err := filepath.Abs(filepath.Join(compose, "archiver.sql"))
	if err != nil {
		t.Fatal(err)
	}
	entry := "#!/bin/bash\nset -eu\nprintf %s \"$POSTGRES_PASSWORD\" >" + filepath.Join(dir, "superuser") + "\n[[ $1 = postgres ]]\n" +
		"[[ -n ${AGAIN:-} ]] || exec psql -v ON_ERROR_STOP=1 --no-psqlrc -f " + sql + "\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-entrypoint.sh"), []byte(entry), 0o700); err != nil {
		t.Fatal(err)
	}
	passwords := make(map[string]bool)
	given := []string{"AGAIN=1", `POSTGRES_PASSWORD=a:b\c 'd"`}
	for i, env := range [][]string{nil, {"AGAIN=1"}, given, given, given, {"AGAIN=1"}} {
		psql := server.Psql(t.Context())
		cmd := *psql
		shell, err := filepath.EvalSymlinks("/bin/bash")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path, cmd.Args, cmd.Err = shell, []string{"bash", "-c", start}, nil
		cmd.Env = append(cmd.Env, "PGUSER=other", "PGPASSWORD=other", "PATH="+dir+":"+filepath.Dir(psql.Path)+":"+os.Getenv("PATH"))
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		if i == 2 { // the role has another password
			if err == nil || !strings.Contains(string(out), "POSTGRES_PASSWORD is not the password of the first start") {
				t.Errorf("another password: %v\n%s", err, out)
			}
			if err := os.Remove(filepath.Join(secrets, "pgpass")); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, name := range []string{filepath.Join(secrets, "pgpass"), filepath.Join(dir, "superuser")} {
			password, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			passwords[string(password)] = true
		}
		if len(env) > 0 {
			continue
		}
		address := "postgres://archiver@" + strings.TrimPrefix(server.URL()[strings.LastIndexByte(server.URL(), '@')+1:], "@") + "&passfile=" + filepath.Join(secrets, "pgpass")
		installOn(t, address, web.URL).backfill()
	}
	// The file keeps its password until it is deleted; the superuser has one of no use.
	if len(passwords) != 2+5 {
		t.Errorf("%d passwords were made", len(passwords))
	}
	if !passwords[`*:*:*:archiver:a\:b\\c 'd"`+"\n"] {
		t.Error("a password that is given is not the one in the file")
	}
	var may, owns bool
	err = conn.QueryRow(t.Context(), `
		SELECT r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
		       OR EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid AND roleid <> 'pg_database_owner'::regrole),
		       EXISTS (SELECT FROM pg_database WHERE datname = 'archiver' AND datdba = r.oid)
		  FROM pg_roles AS r
		 WHERE r.rolname = 'archiver'`).Scan(&may, &owns)
	if err != nil || may || !owns {
		t.Errorf("the archiver may do more: %t, owns its database: %t, %v", may, owns, err)
	}
}
