package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
			Datasource struct{ Type, UID string }
		}
	}
	Templating struct {
		List []struct{ Name, Type string }
	}
}

// dashboards are those that are provisioned, by the names of their files.
func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("grafana", "dashboards", "*.json"))
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
	provisioned, err := os.ReadFile(filepath.Join("grafana", "provisioning", "datasources", "archiver.yml"))
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
