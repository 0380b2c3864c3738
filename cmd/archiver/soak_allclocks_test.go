//go:build soak

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/loop"
	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/supervise"
)

// A wrongClock shows the time, and an error.
type wrongClock struct {
	*clocktest.Clock
	ahead atomic.Int64
}

func (c *wrongClock) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.ahead.Load())) }

// errorsOfClocks are how far a clock is ahead or behind.
var errorsOfClocks = []time.Duration{
	30 * time.Second, 3 * time.Minute, 5 * time.Minute, 7 * time.Minute, 9 * time.Minute,
	12 * time.Minute, 2 * time.Hour, 26 * time.Hour, 410 * 24 * time.Hour,
}

// wrongBy is how far one clock is ahead. Each second one is right.
func wrongBy(random *rand.Rand) time.Duration {
	if random.IntN(2) > 0 {
		return 0
	}
	return errorsOfClocks[random.IntN(len(errorsOfClocks))] * time.Duration(1-2*random.IntN(2))
}

// soakAllClocks archives a day as it unfolds. The source lists a record a little before its
// hour may be read. In each pass one of the clocks of the archiver,
// the database and the source is right, and the others are right, ahead or behind; that of
// the archiver may jump. In the end all are right.
func soakAllClocks(t *testing.T, s *soak) (int, string) {
	passes, refused := 0, 0
	rounds := (s.runs + 4) / 5
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			own := &wrongClock{Clock: clocktest.New(day.Add(5 * time.Minute))}
			source := &wrongClock{Clock: own.Clock}
			database := &wrongClock{Clock: own.Clock}
			r := &recorder{next: unfolding{s.api, source, own}, asked: make(map[string]bool), run: make(map[string]bool)}
			in, _ := s.watched(t, "")
			endpoint := newServer(t, r)
			// Of each hour, one pass comes shortly before it may be read, and one after.
			for at := day.Add(time.Hour); !at.After(day.AddDate(0, 0, 1).Add(10 * time.Minute)); passes++ {
				own.Advance(at.Add(time.Duration(s.random.IntN(600)) * time.Second).Sub(own.Clock.Now()))
				if at = at.Add(10 * time.Minute); at.Minute() == 20 {
					at = at.Add(40 * time.Minute)
				}
				clocks := []*wrongClock{own, source, database}
				for _, c := range clocks {
					c.ahead.Store(int64(wrongBy(s.random)))
				}
				clocks[s.random.IntN(len(clocks))].ahead.Store(0)
				was, later := own.ahead.Load(), int64(wrongBy(s.random))
				jump := func() { own.ahead.CompareAndSwap(was, later) }
				s.moment(r, 2*soakFunctions, jump)
				if !in.pass(t, endpoint, own, database, jump) {
					refused++
				}
				own.ahead.Store(-1) // no jump any more
				if s.neverEarly(t, in); t.Failed() {
					t.Fatalf("after a pass at %s: the archiver is ahead by %s, then by %s, the database by %s, the source by %s", own.Clock.Now(),
						time.Duration(was), time.Duration(later), time.Duration(database.ahead.Load()), time.Duration(source.ahead.Load()))
				}
			}
			for _, c := range []*wrongClock{own, source, database} {
				c.ahead.Store(0)
			}
			r.begin(0)
			own.Advance(time.Hour)
			if !in.pass(t, endpoint, own, database, func() {}) {
				t.Error("a pass with clocks that are right was refused")
			}
			in.backfill() // counts the figures, and finds nothing to read
			s.same(t, in)
		})
	}
	return passes, fmt.Sprintf("%d passes ended before they read anything; %s", refused, equal(rounds))
}

// pass makes a pass over what is due of the day, as a process of its own, and the
// maintenance after it, before which the clock has jumped. Nothing of the day is old enough
// to be dropped. It reports false
// if the archiver found that no clock can be trusted.
func (in *installation) pass(t *testing.T, endpoint string, own, database *wrongClock, jump func()) bool {
	t.Helper()
	a, db := in.byClocks(t, endpoint, own, database)
	defer db.Close()
	due := settings.DueFlags{Lookback: 48 * time.Hour, VerifyAfter: 6 * time.Hour, Retention: 48 * time.Hour}
	o := dueOrder(due, a.Clock.Now(), a.Settle)
	o.Range.From = day
	switch end := day.AddDate(0, 0, 1); {
	case o.Range.To.Before(day):
		o.Range.To = day
	case o.Range.To.After(end):
		o.Range.To = end
	}
	began, retain := a.Clock.Now(), (&supervise.Set{DB: db, Sources: []*supervise.Source{{Source: settings.Source{DueFlags: due}}}}).Maintenance(own)
	_, err := a.Archive(within(t), o, new(archive.Progress))
	jump()
	retain.After(within(t), began, err, a.Log)
	var wrong *archive.ClockError
	if err != nil && !errors.As(err, &wrong) {
		t.Errorf("pass at %s: %v", a.Clock.Now(), err)
	}
	return wrong == nil
}

// byClocks is an archiver whose own clock and database clock are given.
func (in *installation) byClocks(t *testing.T, endpoint string, own, database *wrongClock) (*loop.Archiver, *pg.DB) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := pg.Open(t.Context(), in.database, 4, log)
	if err != nil {
		t.Fatal(err)
	}
	caller := extract.NewCaller(extract.Options{Concurrency: 4, Timeout: time.Minute, Clock: clocktest.NewInstant(own.Now()), Log: log})
	source, err := functiongraph.New(t.Context(), functiongraph.Options{
		Region: simulate.DefaultRegion, Endpoint: endpoint, ProjectID: simulate.DefaultProjectID,
		AuthToken: extract.FixedSecret("token", testToken), // refuses no time; a signature would
	}, caller, log)
	if err != nil {
		t.Fatal(err)
	}
	return &loop.Archiver{
		Source: source, Store: load.New(db, days.New(db)), Clock: own, Log: log,
		StoreAhead: func(_ context.Context, own archive.Clock) (time.Duration, error) {
			return database.Now().Sub(own.Now()), nil
		},
		Settle: 10 * time.Minute, SourceRetention: keepsForLong, Concurrency: 4,
	}, db
}

// listedAfter is how long after its start a source lists a record. An hour is read 10
// minutes after its end.
const listedAfter = 9 * time.Minute

// An unfolding source lists the records that started listedAfter ago. Its answers tell the time by its clock,
// as seen from the machine's clock, which stands for the archiver's own.
type unfolding struct {
	next       http.Handler
	clock, own *wrongClock
}

func (u unfolding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", time.Now().Add(u.clock.Now().Sub(u.own.Now())).UTC().Format(http.TimeFormat))
	if strings.HasSuffix(r.URL.Path, "/async-invocations") {
		const form = "2006-01-02T15:04:05"
		now := u.clock.Clock.Now().Add(-listedAfter).UTC().Format(form)
		q := r.URL.Query()
		if q.Get("query_begin_time") > now {
			q.Set("query_begin_time", "2000-01-01T00:00:00")
			q.Set("query_end_time", "2000-01-01T00:00:01")
		} else if q.Get("query_end_time") > now {
			q.Set("query_end_time", now)
		}
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
	}
	u.next.ServeHTTP(w, r)
}
