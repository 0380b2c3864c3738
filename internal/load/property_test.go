package load

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
)

// After each of a few hundred random commits, failures and takeovers the whole archive
// equals a model in memory. There are few ids, hours and texts, so they meet often.
func TestArchiveIsItsModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			s := &script{
				Rand: rand.New(rand.NewPCG(seed, 1)), a: a, model: newModel(),
				stores: []*Store{a.store, openStore(t, a.URL)},
			}
			for i := range 3 {
				f := a.Function(fmt.Sprint("f", i))
				s.functions, s.claims = append(s.functions, f), append(s.claims, a.claim(f))
			}
			for step := range 100 {
				did := s.step(t, noted.Add(time.Duration(step)*time.Minute))
				if diff := cmp.Diff(s.model.tables(), s.tables(t)); diff != "" {
					t.Fatalf("step %d, %s (-model +archive):\n%s", step, did, diff)
				}
				a.in(t).CheckTotals()
				if s.IntN(4) == 0 {
					a.in(t).CountFigures()
					a.in(t).CheckFigures()
				}
			}
		})
	}
}

// A script is a random history of a few functions.
type script struct {
	*rand.Rand
	a         *archiveDB
	model     *model
	stores    []*Store
	functions []archive.Known
	claims    []*claim
}

func (s *script) tables(t *testing.T) []string {
	t.Helper()
	rows, err := s.a.SQL.Query(t.Context(), modelTables)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(texts)
	return texts
}

// step does one thing to the archive and to the model, and returns its name.
func (s *script) step(t *testing.T, at time.Time) (did string) {
	t.Helper()
	i := s.IntN(len(s.claims))
	c, id := s.claims[i], s.functions[i].ID
	switch s.IntN(20) {
	case 0:
		span := s.span()
		refusal := s.refusal(span)
		refusal.Reason = failed
		if _, err := c.Fail(t.Context(), span, refusal, at); err != nil {
			t.Fatal(err)
		}
		s.model.decide(id, span, archive.Outcome{State: archive.StateFailed, Err: failed, Refusal: refusal}, at)
		if refusal.Stuck {
			maps.DeleteFunc(s.model.walks, func(key windowKey, w archive.Walk) bool { return key.functionID == id && w.Span.Overlaps(span) })
		}
		return fmt.Sprintf("fail %d %s %+v", id, span, refusal)
	case 2:
		age := time.Duration(120+s.IntN(30)) * time.Hour
		want := s.model.prove(age)
		if n, err := s.stores[0].Prove(t.Context(), loadtest.Source, age); err != nil || n != want {
			t.Errorf("an age of %s proves %d windows, %v, want %d", age, n, err, want)
		}
		return fmt.Sprintf("prove %s", age)
	case 1:
		// Another process takes over and continues from the stored state.
		s.a.Exec(`UPDATE claims SET expires_at = '-infinity' WHERE function_id = $1`, id)
		s.claims[i] = claimOf(t, s.stores[s.IntN(len(s.stores))], s.functions[i])
		if _, err := s.claims[i].Work(t.Context(), archive.Order{Range: hours(today.AddDate(0, 0, -5), 240)}, noted); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("take over %d", id)
	default:
		b := s.batch(id, at)
		did = fmt.Sprintf("commit %d %+v", id, b)
		want := s.model.commit(id, &b)
		if kept := commit(t, c, b); kept != want {
			t.Errorf("%s kept %+v, want %+v", did, kept, want)
		}
		return did
	}
}

// span is a span that may overlap open ones.
func (s *script) span() archive.Span {
	return hours(today.Add(time.Duration(20+s.IntN(8))*archive.Hour), 1+s.IntN(3))
}

var outcomes = []archive.State{
	archive.StateComplete, archive.StateComplete, archive.StateShort, archive.StateFailed, archive.StatePending, archive.StateGone,
}

func (s *script) batch(function int32, at time.Time) archive.Batch {
	b := archive.Batch{At: at, Walk: archive.Walk{Span: s.span()}}
	for range s.IntN(8) {
		b.Invocations = append(b.Invocations, s.record(function))
	}
	b.Invocations = archive.Distinct(b.Invocations)
	for range s.IntN(4) / 2 {
		b.Rejected = append(b.Rejected, archive.Rejected{Reason: "none", Payload: []byte(fmt.Sprint("p", s.IntN(9))), Start: s.start()})
	}
	if n := b.Walk.Span.Windows(); n > 1 && s.IntN(6) == 0 {
		b.Pieces = b.Walk.Span.Cut(2 + s.IntN(n-1))
		return b
	}
	if s.IntN(2) == 0 {
		b.Walk.Cursor, b.Walk.Seen = archive.Cursor(fmt.Sprint("c", s.IntN(100))), s.IntN(1000)
		return b
	}
	b.Outcome = &archive.Outcome{State: outcomes[s.IntN(len(outcomes))]}
	if b.Outcome.State == archive.StateShort || b.Outcome.State == archive.StateFailed {
		b.Outcome.Err, b.Outcome.Refusal = "why", s.refusal(b.Walk.Span)
	}
	if s.IntN(3) == 0 {
		b.Outcome.Expired = make(map[time.Time]archive.Expired)
		for h := b.Walk.Span.From; h.Before(b.Walk.Span.To); h = h.Add(archive.Hour) {
			if s.IntN(2) == 0 {
				b.Outcome.Expired[h] = archive.Expired{Missed: s.IntN(2) == 0, Unproven: s.IntN(2) == 0, Bare: s.IntN(2) == 0}
			}
		}
	}
	if s.IntN(2) == 0 {
		b.Outcome.Counts = map[time.Time]int{b.Walk.Span.From: s.IntN(10)}
	}
	return b
}

// refusal is of a minute of the span, or of unknown size.
func (s *script) refusal(span archive.Span) (r archive.Refusal) {
	if s.IntN(2) == 0 {
		from := span.From.Add(time.Duration(s.IntN(60*span.Windows())) * time.Minute)
		r.Smallest = archive.Span{From: from, To: from.Add(time.Minute)}
	}
	r.Stuck = s.IntN(2) == 0
	return r
}

// record is one of sixteen records. Half of them come from every function and stay on
// one day. Each of the others comes from one function and moves.
func (s *script) record(function int32) archive.Invocation {
	statuses := []string{"WAIT", "RUNNING", "SUCCESS", "FAIL", "DISCARD", "HIBERNATING"}
	n := s.IntN(16)
	start := s.start()
	if n%2 == 0 && !start.IsZero() {
		start = today.Add(start.Sub(today)%(24*time.Hour) + time.Duration(n/2%2)*24*time.Hour)
	}
	id := fmt.Sprintf("r%02d", n)
	if n%2 == 1 {
		id = fmt.Sprintf("r%02d-%d", n, function)
	}
	inv := record(id, statuses[s.IntN(len(statuses))], start)
	if s.IntN(4) == 0 {
		inv.ErrorCode = fmt.Sprint("e", s.IntN(3))
	}
	return inv
}

// start is zero, or one of the hours around a midnight: close enough to be starts of
// one invocation.
func (s *script) start() time.Time {
	if s.IntN(4) == 0 {
		return time.Time{}
	}
	return today.Add(time.Duration(s.IntN(48)) * archive.Hour).Add(time.Duration(s.IntN(2)*3599) * time.Second)
}
