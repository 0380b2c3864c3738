package conformance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/loop"
	"archiver/internal/pgserver/pgtest"
)

// loop archives with the real loop into a real database: records at the borders of a
// query, and lists that change during a walk.
func (s *Suite) loop(t *testing.T) {
	db := newDatabase(t)
	t.Run("borders", func(t *testing.T) { s.borders(t, db) })
	t.Run("drift", func(t *testing.T) { s.drift(t, db) })
}

// A database is one archive for many clouds. Each cloud has another function and other
// records.
type database struct {
	url   string
	store *load.Store
	next  atomic.Int64
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	db := &database{url: pgtest.Database(t)}
	migrator, err := pg.NewMigrator(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer migrator.Close()
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	connected, err := pg.Open(t.Context(), db.url, 4, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connected.Close)
	db.store = load.New(connected, days.New(connected))
	return db
}

// loopWorld opens a world whose function no other world has.
func (s *Suite) loopWorld(t *testing.T, way *Way, db *database) (w *world, prefix string) {
	t.Helper()
	w = s.open(t, way)
	n := int(db.next.Add(1))
	w.cloud.functions = []archive.Function{s.Function(n)}
	return w, fmt.Sprintf("r%d", n)
}

// A nextDay is a clock whose time is always a day after noon. Its pauses take real
// time: another worker may hold a claim for a moment.
type nextDay struct{ archive.SystemClock }

func (nextDay) Now() time.Time { return noon.AddDate(0, 0, 1) }

// A forgetful store keeps nothing of what is learned of a source: all worlds have the same
// source, and each behaves in its own way.
type forgetful struct{ archive.Store }

// Learned returns nothing.
func (forgetful) Learned(context.Context, archive.SourceID, time.Time) ([]archive.Learned, error) {
	return nil, nil
}

// archive runs the loop once over the hours in [from, to).
func (w *world) archive(t *testing.T, db *database, from, to time.Time) {
	t.Helper()
	function := w.cloud.functions[0]
	archiver := &loop.Archiver{
		Source: w.source, Store: forgetful{db.store}, Clock: nextDay{}, Log: slog.New(slog.DiscardHandler),
		Settle: time.Minute, Concurrency: 4,
		// The functions of the other worlds are in the archive, and not in this list.
		Match: func(f archive.Function) bool { return f.URN == function.URN },
	}
	o := archive.Order{AskedBy: "backfill", Range: archive.Span{From: from, To: to}}
	_, err := archiver.Archive(t.Context(), o, new(archive.Progress))
	if incomplete := (*archive.IncompleteError)(nil); err != nil && !errors.As(err, &incomplete) {
		t.Fatal(err)
	}
}

// kept returns what the archive has of the function: the ids of its records, and for
// each window its state and number of records.
func (w *world) kept(t *testing.T, db *database) (archived []string, windows map[time.Time]string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(),
		`SELECT request_id FROM invocation_history WHERE function_urn = $1`, w.cloud.functions[0].URN)
	if err != nil {
		t.Fatal(err)
	}
	if archived, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	}
	slices.Sort(archived)
	rows, err = conn.Query(t.Context(),
		`SELECT window_start, state || ' ' || records FROM window_coverage WHERE function_urn = $1`, w.cloud.functions[0].URN)
	if err != nil {
		t.Fatal(err)
	}
	windows = make(map[time.Time]string)
	var start time.Time
	var state string
	if _, err := pgx.ForEachRow(rows, []any{&start, &state}, func() error {
		windows[start.UTC()] = state
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return archived, windows
}

// Records in and next to the first and last second of an hour are in the archive once,
// in the window of their start, whether or not the cloud includes the borders of a
// query.
func (s *Suite) borders(t *testing.T, db *database) {
	for _, leftOpen := range []bool{false, true} {
		for _, rightOpen := range []bool{false, true} {
			t.Run(fmt.Sprintf("left open %t, right open %t", leftOpen, rightOpen), func(t *testing.T) {
				t.Parallel()
				w, prefix := s.loopWorld(t, s.plain(), db)
				w.cloud.leftOpen, w.cloud.rightOpen = leftOpen, rightOpen
				for i, after := range []time.Duration{
					0, time.Second, 59*time.Minute + 58*time.Second, 59*time.Minute + 59*time.Second,
					time.Hour, time.Hour + time.Second, 2*time.Hour - time.Second,
				} {
					start := noon.Add(after)
					w.cloud.records = append(w.cloud.records, Record{
						ID: fmt.Sprintf("%s-%d", prefix, i), Status: archive.StatusSuccess, Start: start, End: start,
					})
				}
				w.archive(t, db, noon, noon.Add(time.Hour))
				w.archive(t, db, noon.Add(time.Hour), noon.Add(2*time.Hour))
				archived, windows := w.kept(t, db)
				if want := idsOf(w.cloud.records); !slices.Equal(archived, want) {
					t.Errorf("%d records, want %d: %s", len(archived), len(want), firstDifferences(archived, want))
				}
				for start, want := range map[time.Time]string{noon: "complete 4", noon.Add(time.Hour): "complete 3"} {
					if windows[start] != want {
						t.Errorf("%s is %s, want %s", start.Format(time.TimeOnly), windows[start], want)
					}
				}
			})
		}
	}
}

// drifts are what happens to a list while it is walked.
var drifts = map[string]func(records []Record, fresh Record) []Record{
	"arriving": func(records []Record, fresh Record) []Record {
		fresh.Start = noon.Add(time.Hour - time.Second)
		return append(records, fresh)
	},
	"arriving below": func(records []Record, fresh Record) []Record {
		fresh.Start = noon
		return append(records, fresh)
	},
	"vanishing":       func(records []Record, _ Record) []Record { return records[:len(records)-1] },
	"vanishing below": func(records []Record, _ Record) []Record { return records[1:] },
}

// A window does not become complete while its list changes, and becomes complete
// afterwards. Then every record of the cloud is in the archive.
func (s *Suite) drift(t *testing.T, db *database) {
	names := slices.Sorted(maps.Keys(drifts))
	for i := range s.Ways {
		way := &s.Ways[i]
		for j, name := range names {
			if i > 0 && i%len(names) != j {
				continue // the plain way has every drift, each other way one of them
			}
			happens := drifts[name]
			t.Run(way.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w, prefix := s.loopWorld(t, way, db)
				w.cloud.records = spread(prefix, noon, 3*s.PageSize+2)
				const most = 2
				var events atomic.Int64
				w.cloud.drift = func(records []Record) []Record {
					if events.Load() == most {
						return records
					}
					return happens(records, Record{ID: fmt.Sprintf("%s-new-%d", prefix, events.Add(1)), Status: archive.StatusSuccess})
				}
				state := ""
				for range 3 {
					w.archive(t, db, noon, noon.Add(time.Hour))
					archived, windows := w.kept(t, db)
					if state = windows[noon]; state == fmt.Sprint("complete ", len(archived)) {
						for _, id := range idsOf(w.cloud.now()) {
							if !slices.Contains(archived, id) {
								t.Errorf("the window says complete, and %s is missing", id)
							}
						}
						break
					}
				}
				if !strings.HasPrefix(state, "complete") {
					t.Errorf("the window never became complete: %s", state)
				}
				if n := events.Load(); n != most {
					t.Errorf("%d of %d records came or went: no page was asked for where another ended", n, most)
				}
			})
		}
	}
}
