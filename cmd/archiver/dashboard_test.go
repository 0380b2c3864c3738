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
	UID    string
	Links  []struct{ URL string }
	Panels []struct {
		ID         int
		Type       string
		Title      string
		Datasource struct{ Type, UID string }
		GridPos    struct{ X, Y, W, H int }
		Targets    []struct {
			Datasource           struct{ Type, UID string }
			Expr, RawSQL, Format string
		}
	}
	Templating struct {
		List []struct{ Name, Type string }
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

// Panels have numbers and places of their own, ask a data source that is
// provisioned, and links lead somewhere.
func TestDashboards(t *testing.T) {
	t.Parallel()
	provisioned, err := os.ReadFile(deployed("grafana", "provisioning", "datasources", "archiver.yml"))
	if err != nil {
		t.Fatal(err)
	}
	all := dashboards(t)
	uids := make(map[string]bool)
	for _, d := range all {
		uids["/d/"+d.UID] = true
	}
	for file, d := range all {
		variables := make(map[string]bool)
		for _, v := range d.Templating.List {
			variables["${"+v.Name+"}"] = v.Type == "datasource"
		}
		ids, cells := make(map[int]bool), make(map[[2]int]string)
		for _, p := range d.Panels {
			if ids[p.ID] || p.Title == "" {
				t.Errorf("%s: panel %d %q", file, p.ID, p.Title)
			}
			ids[p.ID] = true
			if p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: %s is wider than the page", file, p.Title)
			}
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := cells[[2]int{x, y}]; other != "" {
						t.Errorf("%s: %s lies on %s", file, p.Title, other)
					}
					cells[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: %s asks nothing", file, p.Title)
			}
			for _, target := range p.Targets {
				if !variables[target.Datasource.UID] || target.Datasource != p.Datasource || !strings.Contains(string(provisioned), "type: "+target.Datasource.Type+"\n") {
					t.Errorf("%s: %s asks %v", file, p.Title, target.Datasource)
				}
			}
		}
		for _, l := range d.Links {
			if !uids[l.URL] {
				t.Errorf("%s: there is no %s", file, l.URL)
			}
		}
	}
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
		if n := query[string](in, want); got != n || n == "0" {
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
