package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
)

func TestClaimIsExclusive(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	other := openStore(t, a.URL)
	f, g := a.Function("f"), a.Function("g")
	c := a.claim(f)
	for name, s := range map[string]*Store{"the same process": a.store, "another process": other} {
		if _, err := s.Claim(t.Context(), f); !errors.Is(err, archive.ErrClaimed) {
			t.Errorf("%s claims it as well: %v", name, err)
		}
	}
	claimOf(t, other, g) // another function is another matter
	if err := c.Renew(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken := claimOf(t, other, f)
	// Giving back what one does not have any more takes nothing from anybody.
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := taken.Renew(t.Context()); err != nil {
		t.Error(err)
	}
}

// A worker that has gone silent loses its claim when its time is over, and not
// before; each sign of life gives it the whole time again.
func TestClaimRunsOut(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	other := openStore(t, a.URL)
	f := a.Function("f")
	c := a.claim(f)
	s := hours(today, 1)
	for name, sign := range map[string]func() error{
		"renew":  func() error { return c.Renew(t.Context()) },
		"commit": func() error { _, err := c.Commit(t.Context(), page(s, noted)); return err },
		"fail": func() error {
			_, err := c.Fail(t.Context(), s, archive.Refusal{Reason: "down"}, noted)
			return err
		},
	} {
		a.Exec(`UPDATE claims SET expires_at = clock_timestamp() - interval '1 second'`)
		if err := sign(); err != nil {
			t.Errorf("%s of a claim that nobody took: %v", name, err)
		}
		left := value[time.Duration](a, `SELECT expires_at - clock_timestamp() FROM claims`)
		if left > archive.ClaimLife || left < archive.ClaimLife-loadtest.Patience {
			t.Errorf("after %s the claim lasts for %s", name, left)
		}
		if _, err := other.Claim(t.Context(), f); !errors.Is(err, archive.ErrClaimed) {
			t.Errorf("after %s another worker takes it: %v", name, err)
		}
	}
	for _, expires := range []string{"- interval '1 microsecond'", "+ interval '1 year'"} {
		a.Exec(`UPDATE claims SET expires_at = clock_timestamp() ` + expires)
		if err := claimOf(t, other, f).Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func ownerOf(t testing.TB, s *Store) int32 {
	t.Helper()
	owner, err := s.db.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return owner
}

// What waits too long for a slow database is tried again, also at the end of a run.
func TestTakesTooLong(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	claim, err := a.store.Claim(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	run, err := a.store.BeginRun(t.Context(), archive.Order{AskedBy: "run"}, loadtest.Noted)
	if err != nil {
		t.Fatal(err)
	}
	over, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	source := archive.SourceID{Provider: "p"}
	learned := []archive.Learned{{What: archive.LearnedAge, Value: 1, At: loadtest.Noted}}
	for what, call := range map[string]func() error{
		"release": func() error { return claim.Release(over) },
		"claim":   func() error { _, err := a.store.Claim(over, f); return err },
		"prove":   func() error { _, err := a.store.Prove(over, source, time.Hour); return err },
		"learn":   func() error { return a.store.Learn(over, source, learned) },
		"end":     func() error { return a.store.EndRun(over, run, archive.Summary{}, nil, loadtest.Noted) },
	} {
		if err := call(); a.store.Trouble(err) != archive.TroubleLost {
			t.Errorf("%s: %v is no trouble of the database", what, err)
		}
	}
}

// A claim that another role's lock stops for too long is tried again. The other claims of
// this process stay its own.
func TestClaimMeetsLock(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f, g := a.Function("f"), a.Function("g")
	c := a.claim(f)
	owner := ownerOf(t, a.store)
	locked, err := a.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locked.Exec(t.Context(), `LOCK TABLE claims`); err != nil {
		t.Fatal(err)
	}
	a.store.claimLocks = 10 * time.Millisecond
	if _, err := a.store.Claim(t.Context(), g); a.store.Trouble(err) != archive.TroubleRefused {
		t.Errorf("the claim ended with %v", err)
	}
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Renew(t.Context()); err != nil || ownerOf(t, a.store) != owner {
		t.Errorf("the other claim is lost: %v", err)
	}
}

// A claim that one server has confirmed is not prolonged on another one, where it may be
// another process's.
func TestRenewOnAnotherServer(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.claim(a.Function("f"))
	c.server = "another one"
	a.Exec(`UPDATE claims SET expires_at = '2000-01-01 00:00Z'`)
	if err := c.Renew(t.Context()); a.store.Trouble(err) != archive.TroubleLost {
		t.Errorf("renew: %v", err)
	}
	if n := value[int](a, `SELECT count(*) FROM claims WHERE expires_at = '2000-01-01 00:00Z'`); n != 1 {
		t.Error("the claim was renewed")
	}
}

// A worker whose process is gone is not waited for.
func TestClaimOfTheDead(t *testing.T) {
	t.Parallel()
	for name, die := range map[string]func(*archiveDB, *Store){
		"closed": func(_ *archiveDB, s *Store) { s.db.Close() },
		"killed": func(a *archiveDB, s *Store) {
			a.Exec(`
				SELECT pg_terminate_backend(pid) FROM pg_locks
				 WHERE locktype = 'advisory' AND objid = $1::integer::oid AND objsubid = 2`, ownerOf(a.T, s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			f := a.Function("f")
			dying := openStore(t, a.URL)
			c := claimOf(t, dying, f)
			die(a, dying)
			var taken archive.Claim
			eventually(t, "the claim is taken over", func() (ok bool) {
				var err error
				if taken, err = a.store.Claim(t.Context(), f); err != nil && !errors.Is(err, archive.ErrClaimed) {
					t.Fatal(err)
				}
				return err == nil
			})
			if err := taken.Renew(t.Context()); err != nil {
				t.Error(err)
			}
			if name == "killed" { // a process that only thinks it is alive
				if err := c.Renew(t.Context()); !errors.Is(err, archive.ErrClaimLost) {
					t.Errorf("the dead one renews: %v", err)
				}
			}
		})
	}
}

// A process that goes on after its session for this was cut (a restart of the
// server, say) is alive, and its claims are its own again.
func TestClaimAfterTheServerCutUsOff(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	other := openStore(t, a.URL)
	owner := ownerOf(t, a.store)
	a.Exec(`
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		 WHERE datname = current_database() AND pid <> pg_backend_pid()
		   AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::integer::oid)`,
		owner)
	eventually(t, "its lock is gone", func() bool {
		return value[int](a, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::integer::oid`, owner) == 0
	})
	a.claim(f)
	if _, err := other.Claim(t.Context(), f); !errors.Is(err, archive.ErrClaimed) {
		t.Errorf("another worker takes a living one's claim: %v", err)
	}
}

// A worker that lost its claim gets ErrClaimLost and writes nothing.
func TestClaimLost(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	other := openStore(t, a.URL)
	f := a.Function("f")
	lost := a.claim(f)
	b := changing(t, lost)
	a.Exec(`UPDATE claims SET expires_at = '-infinity'`)
	taken := claimOf(t, other, f)
	const all = `SELECT * FROM (` + everything + `) e UNION ALL
		SELECT 'function', f::text FROM functions f UNION ALL SELECT 'claim', c::text FROM claims c`
	before := a.Rows(all)
	final := b
	final.Outcome = &archive.Outcome{State: archive.StateComplete}
	for name, write := range map[string]func() error{
		"Commit":      func() error { _, err := lost.Commit(t.Context(), b); return err },
		"last Commit": func() error { _, err := lost.Commit(t.Context(), final); return err },
		"Fail": func() error {
			_, err := lost.Fail(t.Context(), b.Walk.Span, archive.Refusal{Reason: "down"}, later)
			return err
		},
		"Gone":  func() error { return lost.Gone(t.Context(), []archive.Span{b.Walk.Span}, later) },
		"Renew": func() error { return lost.Renew(t.Context()) },
	} {
		if err := write(); !errors.Is(err, archive.ErrClaimLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := lost.Release(t.Context()); err != nil {
		t.Errorf("Release: %v", err)
	}
	if diff := cmp.Diff(before, a.Rows(all)); diff != "" {
		t.Errorf("a worker without a claim wrote (-before +after):\n%s", diff)
	}
	commit(t, taken, b)
	a.CheckWindows()
}

// However many reach for a function, one has it.
func TestClaimRace(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	stores := []*Store{a.store, openStore(t, a.URL)}
	const n = 100
	var functions []archive.Function
	for i := range n {
		functions = append(functions, archive.Function{URN: fmt.Sprint("urn:", i), Name: fmt.Sprint(i)})
	}
	known, err := a.store.SeeFunctions(t.Context(), loadtest.Source, functions, noted)
	if err != nil || len(known) != n {
		t.Fatalf("%d functions, %v", len(known), err)
	}
	for _, round := range []string{"new", "run out"} {
		var won [n]atomic.Int32
		var all sync.WaitGroup
		begin := make(chan struct{})
		for worker := range 4 {
			all.Go(func() {
				<-begin
				for i, f := range known {
					_, err := stores[worker%2].Claim(context.WithoutCancel(t.Context()), f)
					switch {
					case err == nil:
						won[i].Add(1)
					case !errors.Is(err, archive.ErrClaimed):
						t.Error(err)
					}
				}
			})
		}
		close(begin)
		all.Wait()
		for i := range won {
			if got := won[i].Load(); got != 1 {
				t.Errorf("%s: function %d has %d workers", round, i, got)
			}
		}
		a.Exec(`UPDATE claims SET expires_at = '-infinity'`)
	}
}
