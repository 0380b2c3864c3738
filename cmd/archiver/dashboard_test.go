package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A dashboard is what the tests look at of one.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr, RawSQL, Format string }
	}
}

// dashboards are those that are provisioned, by the names of their files.
func dashboards(t testing.TB) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(deployed("grafana", "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("there is no dashboard", err)
	}
	found := make(map[string]dashboard)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = d
	}
	return found
}

var (
	timeFilter = regexp.MustCompile(`\$__timeFilter\((\w+)\)`)
	anyMacro   = regexp.MustCompile(`\$[\w{]+`)
)

// What the dashboard of invocations asks, the archive answers to a role that may
// only read, with the numbers of the rows themselves.
func TestInvocationsDashboard(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 5, 20_000, 7))
	in := install(t, web.URL)
	in.backfill()
	ctx := within(t)
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SET ROLE archiver_reader`); err != nil {
		t.Fatal(err)
	}
	d := dashboards(t)["invocations.json"]
	between := fmt.Sprintf("$1 BETWEEN '%s' AND '%s'", day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339))
	answers := make(map[string][][]any)
	for _, p := range d.Panels {
		sql := timeFilter.ReplaceAllString(p.Targets[0].RawSQL, between)
		sql = strings.ReplaceAll(sql, "${function:sqlstring}", `SELECT function_name FROM functions`)
		if left := anyMacro.FindString(sql); left != "" {
			t.Errorf("%s: Grafana is to know %s", p.Title, left)
		}
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			t.Fatalf("%s: %v", p.Title, err)
		}
		// A chart goes by a column of this name and type.
		if first := rows.FieldDescriptions(); p.Targets[0].Format == "time_series" && first[0].Name != "time" {
			t.Errorf("%s: the first column is %s", p.Title, first[0].Name)
		}
		answer, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		if err != nil {
			t.Fatalf("%s: %v", p.Title, err)
		}
		if len(answer) == 0 {
			t.Errorf("%s: nothing", p.Title)
		}
		answers[p.Title] = answer
	}
	for title, want := range map[string]string{
		"Invocations": `SELECT count(*)::text FROM invocations`,
		"Failed":      `SELECT count(*)::text FROM invocations WHERE status IN ('FAIL', 'DISCARD')`,
	} {
		var got string
		if err := conn.QueryRow(ctx, `SELECT $1::numeric::text`, answers[title][0][0]).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if n := queryValue[string](in, want); got != n || n == "0" {
			t.Errorf("%s: %s, want %s", title, got, n)
		}
	}
	if n := len(answers["Invocations an hour"]); n != 24 {
		t.Errorf("%d hours", n)
	}
	if n := len(answers["Functions"]); n != 5 {
		t.Errorf("%d functions", n)
	}
}
