package read_test

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
)

func lookedUp(t *testing.T, a *loadtest.Archive, ids []int32, q archive.Question, limit int) (found []archive.Invocation) {
	t.Helper()
	for inv, err := range a.Read.Lookup(t.Context(), ids, q, limit) {
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		found = append(found, inv)
	}
	return found
}

// For any question, the archive answers the stored records that match it, newest
// first.
func TestLookupAnswersTheQuestion(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	f, g := a.Function("f"), a.Function("g")
	c, other := a.Claim(f), a.Claim(g)
	r := rand.New(rand.NewPCG(3, 4))
	days := loadtest.Hours(loadtest.Today.AddDate(0, 0, -2), 72)
	words := [][2]string{
		{archive.StatusSuccess, "Succeeded"}, {archive.StatusFail, "Failed"}, {archive.StatusFail, "Stopped"},
		{archive.StatusRunning, "Running"}, {archive.StatusSuccess, ""}, {"ODD", ""},
	}
	var all []archive.Invocation
	for i := range 400 {
		word := words[r.IntN(len(words))]
		inv := loadtest.Record(fmt.Sprintf("r-%03d", i), word[0], days.From.Add(time.Duration(r.IntN(3*24*12))*5*time.Minute+time.Duration(r.IntN(2))*time.Microsecond))
		inv.SourceStatus = word[1]
		if word[0] == archive.StatusFail {
			inv.ErrorCode, inv.ErrorMessage, inv.Extra = "4101", "it \"broke\"\n\u202e", []byte(`{"n": 1.50}`)
		}
		if !inv.InFlight() {
			inv.End = inv.Start.Add(time.Duration(r.IntN(5000)) * time.Millisecond)
		}
		all = append(all, inv)
	}
	loadtest.Commit(t, c, loadtest.LastPage(days, loadtest.Noted, all...))
	loadtest.Commit(t, other, loadtest.LastPage(days, loadtest.Noted, loadtest.Record("of another", archive.StatusSuccess, loadtest.Today)))
	newestFirst := func(a, b archive.Invocation) int {
		return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.RequestID, b.RequestID))
	}
	slices.SortFunc(all, newestFirst)
	found := 0
	for range 200 {
		var q archive.Question
		if r.IntN(4) > 0 {
			q.From = all[r.IntN(len(all))].Start
		}
		if r.IntN(4) > 0 {
			q.To = all[r.IntN(len(all))].Start
		}
		for range r.IntN(3) {
			q.Statuses = append(q.Statuses, []string{archive.StatusFail, archive.StatusRunning, archive.StatusSuccess, "Stopped", "ODD", "none"}[r.IntN(6)])
		}
		if r.IntN(4) == 0 {
			q.RequestID = []string{all[r.IntN(len(all))].RequestID, "of another"}[r.IntN(2)]
		}
		limit := r.IntN(3) * 20
		want := slices.DeleteFunc(slices.Clone(all), func(inv archive.Invocation) bool { return !q.Matches(&inv) })
		if limit > 0 {
			want = want[:min(limit, len(want))]
		}
		got := lookedUp(t, a, []int32{f.ID}, q, limit)
		found += len(got)
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%+v, limit %d (-kept +found):\n%.3000s", q, limit, diff)
		}
	}
	if found == 0 {
		t.Error("nothing was found: the test shows nothing")
	}
	if n, err := a.Read.Complete(t.Context(), []int32{f.ID}, days.From.Add(30*time.Minute), days.From.Add(2*time.Hour)); n != 2 || err != nil {
		t.Errorf("%d hours are complete, %v", n, err)
	}
	if n, err := a.Read.Complete(t.Context(), []int32{f.ID, g.ID}, days.From, days.To.Add(24*time.Hour)); n != 72 || err != nil {
		t.Errorf("%d hours are complete, %v", n, err)
	}
}

// A record without a start belongs to the window in which it was found.
func TestLookupWithoutStart(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	f := a.Function("f")
	c := a.Claim(f)
	s := loadtest.Hours(loadtest.Today.Add(10*time.Hour), 1)
	loadtest.Commit(t, c, loadtest.LastPage(s, loadtest.Noted, loadtest.Record("waits", archive.StatusWait, time.Time{}), loadtest.Record("discarded", archive.StatusDiscard, time.Time{}),
		loadtest.Record("first", archive.StatusSuccess, s.From), loadtest.Record("last", archive.StatusSuccess, s.To.Add(-time.Second))))
	for _, q := range []struct {
		from, to time.Time
		want     string
	}{
		{s.From, s.To, "discarded waits last first"},
		{s.From.Add(59 * time.Minute), s.To, "discarded waits last"},
		{s.From.Add(-time.Minute), s.From.Add(time.Second), "discarded waits first"},
		{s.To, s.To.Add(time.Hour), ""},
		{s.From.Add(-time.Hour), s.From, ""},
		{time.Time{}, time.Time{}, "discarded waits last first"},
	} {
		var ids []string
		for _, inv := range lookedUp(t, a, []int32{f.ID}, archive.Question{From: q.from, To: q.to}, 0) {
			ids = append(ids, inv.RequestID)
		}
		if got := strings.Join(ids, " "); got != q.want {
			t.Errorf("%s to %s: %s, want %s", q.from, q.to, got, q.want)
		}
	}
}

// A query reads only the days that it asks for. One request id is one index lookup in
// each day.
func TestLookupPlans(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	f := a.Function("f")
	c := a.Claim(f)
	span := loadtest.Hours(loadtest.Today.AddDate(0, 0, -5), 240)
	loadtest.Commit(t, c, loadtest.LastPage(span, loadtest.Noted, loadtest.Many(5000, span, "r")...))
	a.Exec(`ANALYZE`)
	asked := a.Watch()
	explained := func(from, to time.Time, id string) string {
		var lines []string
		asked()
		lookedUp(t, a, []int32{f.ID}, archive.Question{From: from, To: to, RequestID: id}, 100)
		lookup := asked()[0]
		rows, err := a.DB.Pool.Query(t.Context(), `EXPLAIN `+lookup.SQL, lookup.Args...)
		if err == nil {
			lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	plan := explained(loadtest.Today.Add(time.Hour), loadtest.Today.Add(2*time.Hour), "")
	if !strings.Contains(plan, "invocations_20260314") || strings.Contains(plan, "invocations_20260313") || strings.Contains(plan, "invocations_20260315") {
		t.Errorf("an hour of a day looks at others:\n%s", plan)
	}
	plan = explained(time.Time{}, time.Time{}, "r-000000000000000000000001")
	if n := strings.Count(plan, "_request_id on invocations_2026"); n != 10 || strings.Contains(plan, "Seq Scan on invocations_2026") {
		t.Errorf("a request is looked up in %d indexes of 10 days:\n%s", n, plan)
	}
}

// A database that is opened with ReadOnly cannot be written to.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	db, err := pg.Open(t.Context(), a.URL, 1, slog.New(slog.DiscardHandler), pg.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	_, err = load.New(db, days.New(db)).SeeFunctions(t.Context(), loadtest.Source, []archive.Function{{URN: "urn:f", Name: "f"}}, loadtest.Noted)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "25006" {
		t.Errorf("%v", err)
	}
	if functions, err := read.New(db).Functions(t.Context()); err != nil || len(functions) != 0 {
		t.Errorf("%v, %v", functions, err)
	}
}

// Each function names its latest version.
func TestArchivedFunctions(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	latest := a.Function("b")
	a.Function("a")
	if err := a.Store.(*load.Store).SeeVersions(t.Context(), latest, []archive.Function{{URN: "urn:b:1", Name: "b"}}, loadtest.Noted); err != nil {
		t.Fatal(err)
	}
	got, err := a.Read.Functions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, f := range got {
		said = append(said, fmt.Sprint(f.URN, " ", f.Name, " ", f.LatestURN, " ", f.Source == loadtest.Source))
	}
	want := []string{"urn:a a  true", "urn:b b  true", "urn:b:1 b urn:b true"}
	if diff := gocmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
