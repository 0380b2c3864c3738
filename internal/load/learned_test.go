package load

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/read"
)

func TestLearn(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	elsewhere := loadtest.Source
	elsewhere.Region = "another"
	lesson := func(what archive.Lesson, function int32, value int64, at time.Time) archive.Learned {
		return archive.Learned{What: what, Function: function, Value: value, At: at}
	}
	count := func(value int64, s archive.Span, proven bool, at time.Time) archive.Learned {
		return archive.Learned{What: archive.LearnedCount, Function: f.ID, Value: value, Span: s, Proven: proven, At: at}
	}
	learn := func(source archive.SourceID, learned ...archive.Learned) {
		t.Helper()
		before := slices.Clone(learned)
		if err := a.store.Learn(t.Context(), source, learned); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, learned); diff != "" {
			t.Errorf("the caller's lessons have changed:\n%s", diff)
		}
	}
	check := func(since time.Time, want ...archive.Learned) {
		t.Helper()
		got, err := a.store.Learned(t.Context(), loadtest.Source, since)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	check(time.Time{})
	learn(loadtest.Source)
	learn(elsewhere, lesson(archive.LearnedPage, 0, 7, noted))
	learn(loadtest.Source,
		lesson(archive.LearnedProven, 0, 5000, noted), lesson(archive.LearnedCeiling, 0, 10_000, noted),
		lesson(archive.LearnedCeiling, f.ID, 400, noted), lesson(archive.LearnedAge, 0, 86_400, noted),
		lesson(archive.LearnedProven, 0, 4000, noted), // a smaller one of the same call
		lesson(archive.LearnedRange, 0, 3600, noted), lesson(archive.LearnedRange, 0, 1800, noted),
		count(500, span(0, 1), false, noted), count(600, span(1, 2), false, noted))
	check(noted,
		lesson(archive.LearnedAge, 0, 86_400, noted), lesson(archive.LearnedCeiling, 0, 10_000, noted), lesson(archive.LearnedCeiling, f.ID, 400, noted),
		count(500, span(0, 1), false, noted), count(600, span(1, 2), false, noted),
		lesson(archive.LearnedProven, 0, 5000, noted), lesson(archive.LearnedRange, 0, 3600, noted))
	// The greater count and age win, without being believed longer for that. All else is
	// replaced, a count by a count of the same value.
	learn(loadtest.Source,
		lesson(archive.LearnedProven, 0, 3000, later), lesson(archive.LearnedAge, 0, 90_000, later),
		lesson(archive.LearnedCeiling, 0, 12_000, later), count(500, span(3, 5), true, later))
	check(noted,
		lesson(archive.LearnedAge, 0, 90_000, later), lesson(archive.LearnedCeiling, 0, 12_000, later), lesson(archive.LearnedCeiling, f.ID, 400, noted),
		count(500, span(3, 5), true, later), count(600, span(1, 2), false, noted),
		lesson(archive.LearnedProven, 0, 5000, noted), lesson(archive.LearnedRange, 0, 3600, noted))
	check(later,
		lesson(archive.LearnedAge, 0, 90_000, later), lesson(archive.LearnedCeiling, 0, 12_000, later), count(500, span(3, 5), true, later))

	limits(a, later.Add(time.Minute), "age 90000 seconds", "ceiling 12000 records", "proven 5000 records", "range 3600 seconds", "ceiling 400 records f")
	// Nothing is believed for longer than a day, and nothing is kept longer.
	next := noted.Add(archive.LearnedLife + time.Minute)
	limits(a, next, "age 90000 seconds", "ceiling 12000 records")
	learn(loadtest.Source, lesson(archive.LearnedProven, 0, 100, next), lesson(archive.LearnedRate, 0, 2500, next))
	limits(a, next, "age 90000 seconds", "ceiling 12000 records", "proven 100 records", "rate 2.5 calls per second")
	if n := value[int](a, `SELECT count(*) FROM learned WHERE region <> 'another'`); n != 5 {
		t.Errorf("%d lessons are kept", n)
	}
	if n, err := a.store.Unlearn(t.Context(), loadtest.Source); err != nil || n != 5 {
		t.Errorf("%d were forgotten, %v", n, err)
	}
	check(time.Time{})
	if n := value[int](a, `SELECT count(*) FROM learned`); n != 1 {
		t.Errorf("%d lessons are left of another source", n)
	}
}

// limits compares what people see of the source of the tests.
func limits(a *archiveDB, at time.Time, want ...string) {
	a.T.Helper()
	var got []string
	err := a.Read.Snapshot(a.T.Context(), func(s *read.Snapshot) error {
		all, err := s.Limits(a.T.Context(), at)
		for _, l := range all {
			if l.Region == loadtest.Source.Region {
				text := fmt.Sprint(l.What, " ", l.Value, " ", l.Unit)
				if l.FunctionName != nil {
					text += " " + *l.FunctionName
				}
				got = append(got, text)
			}
		}
		return err
	})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		a.T.Errorf("limits at %s: %v (-want +got):\n%s", at, err, diff)
	}
}
