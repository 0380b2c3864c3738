package main

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"archiver/internal/query"
)

// without is an installation that lacks settings of its environment.
func (in *installation) without(names ...string) *installation {
	other := *in
	other.env = slices.DeleteFunc(slices.Clone(in.env), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return slices.Contains(names, name)
	})
	return &other
}

// ask runs a query with --json and reads its answer.
func (in *installation) ask(args ...string) (found []query.Element, stderr string) {
	in.t.Helper()
	code, stdout, stderr := in.run(nil, append([]string{"query", "--json"}, args...)...)
	if code != exitDone {
		in.t.Fatalf("archiver query %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		in.t.Fatalf("archiver query %s: %v\n%s", strings.Join(args, " "), err, stdout)
	}
	return found, stderr
}

func byID(list []query.Element) []query.Element {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b query.Element) int { return cmp.Compare(a.RequestID, b.RequestID) })
	return list
}

// For both clouds and for each question, the source and the archive give the same
// records in the same words. The source is asked without a database, the archive
// without credentials.
func TestQuerySourceAndArchiveAgree(t *testing.T) {
	t.Parallel()
	api := faulty(t, generated(t, 3, 2500, 4), "borders=none,order=none,mix,statuses=0.05,reversed=0.05,nul=0.05,unusable=0.02,twice=0.05", time.Now)
	web := newServer(t, api)
	graph := install(t, web)
	compute := graph.ofAlibaba(web)
	for provider, in := range map[string]*installation{"functiongraph": graph, "functioncompute": compute} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			in := *in
			in.t = t
			in.backfill()
			source := in.without("DATABASE_URL")
			archived := in.without("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_PROJECT_ID", "ARCHIVER_ENDPOINT",
				"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_ACCOUNT_ID", "ARCHIVER_PROVIDER", "ARCHIVER_REGION")
			r := rand.New(rand.NewPCG(7, 8))
			functions := api.Functions()
			statuses, prefix := []string{"FAIL", "success", "Discard", "RUNNING"}, ""
			if provider == "functioncompute" {
				statuses, prefix = append(statuses, "stopped", "Expired"), "default/"
			}
			all, ids := 0, []string{}
			for i := range 8 {
				f := functions[r.IntN(len(functions))]
				args := []string{"--function", prefix + f.Name}
				from, to := day, day.AddDate(0, 0, 1)
				if i > 1 {
					from = from.Add(time.Duration(r.IntN(12*3600))*time.Second + time.Duration(r.IntN(2))*500*time.Millisecond)
					to = from.Add(time.Duration(1+r.IntN(10*3600)) * time.Second)
				}
				args = append(args, "--from", from.Format(time.RFC3339Nano), "--to", to.Format(time.RFC3339Nano))
				for range r.IntN(3) {
					args = append(args, "--status", statuses[r.IntN(len(statuses))])
				}
				if i > 5 && len(ids) > 0 {
					args = append([]string{"--function", prefix + functions[0].Name}, args[2:6]...)
					args = append(args, "--request-id", ids[r.IntN(len(ids))])
				}
				live, told := source.ask(args...)
				kept, _ := archived.ask(append(args, "--archived")...)
				if diff := gocmp.Diff(byID(kept), byID(live)); diff != "" {
					t.Fatalf("%s: %d live, %d archived\n%s (-archived +live):\n%.3000s", strings.Join(args, " "), len(live), len(kept), told, diff)
				}
				if i%3 == 0 && len(live) > 5 {
					// The newest of them, in the same order.
					args = append(args, "--limit", "5")
					live, told := source.ask(args...)
					kept, keptTold := archived.ask(append(args, "--archived")...)
					if diff := gocmp.Diff(kept, live); diff != "" || len(live) != 5 {
						t.Fatalf("%s: %d live (-archived +live):\n%.3000s", strings.Join(args, " "), len(live), diff)
					}
					const more = "these are the newest 5, there are more"
					if !strings.Contains(told, more) || !strings.Contains(keptTold, more) {
						t.Errorf("told %q and %q", told, keptTold)
					}
				}
				all += len(live)
				if i == 0 || f.Name == functions[0].Name {
					for _, e := range live {
						ids = append(ids, e.RequestID)
					}
				}
			}
			if all == 0 || len(ids) == 0 {
				t.Errorf("%d records, %d of the first function: the test shows nothing", all, len(ids))
			}
		})
	}
}

// A request of Function Compute whose caller chose its invocation id is found if times
// are given. Without times, a note says so. The archive finds it without times, and
// notes which hours are not complete.
func TestQueryOneRequest(t *testing.T) {
	t.Parallel()
	api, web := simulator(t, generated(t, 1, 600, 4))
	graph := install(t, web.URL)
	in := graph.ofAlibaba(web.URL)
	urn := "acs:fc:cn-hangzhou:" + testAccount + ":services/default/functions/" + api.Functions()[0].Name
	in.backfill()
	chosen := queryValue[string](in, `SELECT request_id FROM invocation_history WHERE extra ->> 'invocationId' <> request_id ORDER BY 1 LIMIT 1`)
	plain := queryValue[string](in, `SELECT request_id FROM invocation_history WHERE extra ->> 'invocationId' = request_id ORDER BY 1 LIMIT 1`)
	times := []string{"--from", "2026-03-29", "--to", "2026-03-30"}
	for _, id := range []string{chosen, plain} {
		before := api.Stats().ListStatefulAsyncInvocations
		found, stderr := in.ask(append([]string{"--function", urn, "--request-id", id}, times...)...)
		calls := api.Stats().ListStatefulAsyncInvocations - before
		if len(found) != 1 || found[0].RequestID != id || found[0].FunctionURN != urn || calls > 1 == (id == plain) {
			t.Errorf("%s: %v in %d calls, %s", id, found, calls, stderr)
		}
		if found, stderr := in.ask("--function", urn, "--request-id", id, "--archived"); len(found) != 1 || stderr != "" {
			t.Errorf("%s in the archive: %v, %s", id, found, stderr)
		}
	}
	// Without times the simulated day may be too long ago, but the hint is the same.
	if found, stderr := in.ask("--function", urn, "--request-id", chosen); len(found) > 0 || !strings.Contains(stderr, "with --from and --to, all records of that time are searched") {
		t.Errorf("%v, %s", found, stderr)
	}
	for span, says := range map[string]string{
		"2026-03-29 2026-03-30":             "",
		"2026-03-28T22:30:00Z 2026-03-29":   "2 of these 2 hours are not complete",
		"2026-03-29 2026-03-30T00:00:00.1Z": "1 of these 25 hours are not complete",
	} {
		from, to, _ := strings.Cut(span, " ")
		_, stderr := in.ask("--function", urn, "--archived", "--from", from, "--to", to)
		if !strings.Contains(stderr, says) || says == "" && stderr != "" {
			t.Errorf("%s: %s", span, stderr)
		}
	}
}

// A version whose records are archived as those of the latest says where to look.
func TestQueryVersionWithoutRows(t *testing.T) {
	t.Parallel()
	api := faulty(t, generated(t, 1, 600, 4), "versions=whole", time.Now)
	in := install(t, newServer(t, api))
	in.backfill()
	urn := queryValue[string](in, `SELECT function_urn FROM function_versions WHERE function_urn NOT LIKE '%:latest' LIMIT 1`)
	times := []string{"--function", urn, "--from", "2026-03-29", "--to", "2026-03-30"}
	if found, _ := in.ask(times...); len(found) != 600 {
		t.Errorf("the source gives %d records of %s", len(found), urn)
	}
	found, stderr := in.ask(append(times, "--archived")...)
	if latest := api.Functions()[0].URN; len(found) != 0 || !strings.Contains(stderr, "mostly as "+latest) {
		t.Errorf("%d, %s", len(found), stderr)
	}
	if found, _ := in.ask("--function", api.Functions()[0].Name, "--archived", "--from", "2026-03-29", "--to", "2026-03-30"); len(found) != 600 {
		t.Errorf("the archive gives %d records by the function's name", len(found))
	}
}

// With several sources, --source picks the one that is asked. The archive has the
// records of all sources, and needs no credentials.
func TestQueryOneOfSeveralSources(t *testing.T) {
	t.Parallel()
	w, _, shop, stock := severalClouds(t)
	if code, stdout, stderr := w.run(nil, append([]string{"backfill"}, wholeDay...)...); code != exitDone {
		t.Fatal(stdout, stderr)
	}
	ask := append([]string{"query", "--json", "--function", "*-import-004"}, wholeDay...)
	asked := shop.calls.Load() + stock.calls.Load()
	code, stdout, stderr := w.run(nil, ask...)
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "--source, of shop, stock, fc") || shop.calls.Load()+stock.calls.Load() != asked {
		t.Errorf("of three: exit %d, %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = w.run(nil, append(ask, "--source", "stock")...)
	if code != exitDone || !strings.Contains(stdout, ":project-of-the-stock:") {
		t.Errorf("of one: exit %d, %s", code, stderr)
	}
	code, kept, stderr := w.run([]string{"STOCK_AK=", "STOCK_SK="}, append(ask, "--archived")...)
	if code != exitDone || strings.Count(kept, "request_id") != strings.Count(stdout, "request_id") || shop.calls.Load() > asked {
		t.Errorf("of the archive: exit %d, %s", code, stderr)
	}
}
