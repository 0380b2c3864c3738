package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
)

// Items that come while a group is under way form the next group, in the order in which
// they came, as far as it has room.
func TestGather(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var groups [][]int
		goOn := make(chan struct{})
		g := &gather[int]{
			most: 1,
			full: func(together []int, _ int) bool { return len(together) == 3 },
			make: func(_ context.Context, items []int) {
				groups = append(groups, slices.Clone(items))
				<-goOn
			},
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() { g.do(t.Context(), i) })
			synctest.Wait()
		}
		close(goOn)
		all.Wait()
		if got := fmt.Sprint(groups); got != "[[0] [1 2 3] [4 5]]" {
			t.Errorf("groups are %s", got)
		}
		g.do(t.Context(), 6)
		if got := groups[len(groups)-1]; len(got) != 1 || got[0] != 6 {
			t.Errorf("an item that comes alone is in the group %v", got)
		}
	})
}

// The context of a group ends when the contexts of all its items have ended.
func TestGatherEndsWithAllOfItsContexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stopped")
		ended := make(chan error, 1)
		first := make(chan struct{})
		g := &gather[int]{
			most: 1,
			full: func([]int, int) bool { return false },
			make: func(ctx context.Context, items []int) {
				if items[0] == 0 {
					<-first
					return
				}
				<-ctx.Done()
				ended <- context.Cause(ctx)
			},
		}
		one, endOne := context.WithCancelCause(t.Context())
		two, endTwo := context.WithCancelCause(t.Context())
		var all sync.WaitGroup
		for i, ctx := range []context.Context{t.Context(), one, two} {
			all.Go(func() { g.do(ctx, i) })
			synctest.Wait()
		}
		close(first)
		synctest.Wait()
		endOne(stop)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Errorf("the group ended (%v) although one of its two callers still waits", err)
		default:
		}
		endTwo(stop)
		if err := <-ended; !errors.Is(err, stop) {
			t.Errorf("the group ended with %v", err)
		}
		all.Wait()
	})
}

// held makes commits wait at their last statement until it is called.
func (a *archiveDB) held() (release func()) {
	a.T.Helper()
	tx, err := a.SQL.Begin(a.T.Context())
	if err != nil {
		a.T.Fatal(err)
	}
	if _, err := tx.Exec(a.T.Context(), `LOCK TABLE walks IN EXCLUSIVE MODE`); err != nil {
		a.T.Fatal(err)
	}
	return func() {
		a.T.Helper()
		if err := tx.Rollback(a.T.Context()); err != nil {
			a.T.Error(err)
		}
	}
}

// queued is how many groups of writes are under way, and how many writes wait.
func (s *Store) queued() (underWay, waiting int) {
	s.writes.mu.Lock()
	defer s.writes.mu.Unlock()
	return s.writes.underWay, len(s.writes.waiting)
}

// Pages of many small functions share transactions, checkpoints included. One
// whose claim is lost, and one that the database refuses, cost the others
// nothing.
func TestPagesShareTransactions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		refuse       bool // the page of function 7
		transactions int
	}{
		// Some are under way when the others come, and those go in one.
		{"all kept", false, maxTransactions + 1},
		{"one refused", true, 1 + 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			s, count := counted(t, a.URL)
			span := hours(today, 1)
			var claims []*claim
			for i := range 50 {
				claims = append(claims, claimOf(t, s, a.Function(fmt.Sprint("f", i))))
			}
			commit(t, claims[0], page(span, noted, many(1, span, "day")...))
			a.Exec(`UPDATE claims SET epoch = epoch + 1 WHERE function_id = $1`, claims[8].function.ID)
			if test.refuse {
				a.Exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$`)
				a.Exec(`
					CREATE TRIGGER refuse BEFORE INSERT ON windows FOR EACH ROW
					WHEN (new.function_id = ` + fmt.Sprint(claims[7].function.ID) + `) EXECUTE FUNCTION refuse()`)
			}
			count.take()
			release := a.held()
			errs := make([]error, len(claims))
			var all sync.WaitGroup
			for i, c := range claims {
				all.Go(func() {
					var kept archive.Kept
					kept, errs[i] = c.Commit(t.Context(), page(span, noted, many(10, span, fmt.Sprint("f", i, "-"))...))
					if errs[i] == nil && kept.Inserted != 10 {
						t.Errorf("function %d kept %+v", i, kept)
					}
				})
				if i < maxTransactions {
					eventually(t, "the first ones are under way", func() bool {
						underWay, waiting := s.queued()
						return underWay == i+1 && waiting == 0
					})
				}
			}
			eventually(t, "the others wait", func() bool {
				_, waiting := s.queued()
				return waiting == len(claims)-maxTransactions
			})
			release()
			all.Wait()
			for i, err := range errs {
				switch {
				case i == 8 && !errors.Is(err, archive.ErrClaimLost):
					t.Errorf("a lost claim's page: %v", err)
				case i == 7 && test.refuse && (err == nil || !strings.Contains(err.Error(), "refused")):
					t.Errorf("the refused page: %v", err)
				case i != 8 && (i != 7 || !test.refuse) && err != nil:
					t.Errorf("page of function %d: %v", i, err)
				}
			}
			want := int64(1 + 490)
			if test.refuse {
				want -= 10
			}
			if got := value[int64](a, `SELECT count(*) FROM invocations`); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
			statements, _ := count.take()
			begun := 0
			for _, sql := range statements {
				if sql == "BEGIN" {
					begun++
				}
			}
			if begun > test.transactions {
				t.Errorf("%d transactions for %d pages, want %d", begun, len(claims), test.transactions)
			}
			a.CheckWindows()
		})
	}
}

// Claims that are asked for at once are taken in few statements, each once.
func TestClaimsAreTakenTogether(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s := openStore(t, a.URL)
	var functions []archive.Known
	for i := range 200 {
		functions = append(functions, a.Function(fmt.Sprint("f", i%100)))
	}
	var mu sync.Mutex
	var taken []archive.Claim
	var all sync.WaitGroup
	for _, f := range functions {
		all.Go(func() {
			c, err := s.Claim(t.Context(), f)
			if err != nil && !errors.Is(err, archive.ErrClaimed) {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				taken = append(taken, c)
			}
		})
	}
	all.Wait()
	if len(taken) != 100 {
		t.Errorf("%d claims of 100 functions asked for twice", len(taken))
	}
	for _, c := range taken {
		all.Go(func() {
			if err := c.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if left := value[int64](a, `SELECT count(*) FROM claims WHERE expires_at > clock_timestamp()`); left != 0 {
		t.Errorf("%d claims are still held", left)
	}
}

// A worker in the middle of a commit has its function, however late it comes:
// nobody else gets the claim until then, and who asks is refused at once.
func TestClaimOfOneCommitting(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	c := a.claim(f)
	span := hours(today, 1)
	release := a.held()
	a.Exec(`UPDATE claims SET expires_at = '-infinity'`)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Commit(t.Context(), page(span, noted, many(1, span, "r")...))
		ended <- err
	}()
	eventually(t, "the commit is under way", a.blocked)
	other := openStore(t, a.URL)
	ctx, cancel := context.WithTimeout(t.Context(), loadtest.Patience)
	defer cancel()
	if _, err := other.Claim(ctx, f); !errors.Is(err, archive.ErrClaimed) {
		t.Errorf("another process's claim: %v", err)
	}
	release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
