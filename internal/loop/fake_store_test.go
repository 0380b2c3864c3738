package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
)

// A database is what the processes of a test share. It keeps to the contract
// of Store and Claim, and fails the test where its callers do not.
type database struct {
	t         testing.TB
	clock     archive.Clock
	claimed   func(urn string)              // a function was claimed
	committed func(urn string, records int) // a commit ended

	mu        sync.Mutex
	functions []*functionRow
	windows   map[int32]map[time.Time]windowRow
	walks     map[int32]map[time.Time]archive.Walk
	rows      map[string]row
	rejected  map[string]archive.Rejected
	claims    map[int32]*claimRow
	batches   []committedBatch
	runs      []runRow
	learned   []archive.Learned
	list      *archive.ListError
	server    string
}

type functionRow struct {
	archive.Known
	lastSeen time.Time
	gone     bool

	settingsAsked time.Time
	settings      []archive.FunctionSettings // as they were kept
}

type windowRow struct {
	state    archive.State
	verified bool
	count    int // the source's, -1 where it is not known
	err      string
	refusal  archive.Refusal
	expired  archive.Expired
}

type row struct {
	archive.Invocation
	function int32
}

type claimRow struct {
	store   *fakeStore
	epoch   int
	expires time.Time
}

type committedBatch struct {
	urn   string
	owner string
	archive.Batch
}

type runRow struct {
	order   archive.Order
	noted   archive.Noted
	ended   bool
	summary archive.Summary
	err     error
}

func newDatabase(t testing.TB, clock archive.Clock) *database {
	return &database{
		t: t, clock: clock, claimed: func(string) {}, committed: func(string, int) {},
		windows: make(map[int32]map[time.Time]windowRow), walks: make(map[int32]map[time.Time]archive.Walk),
		rows: make(map[string]row), rejected: make(map[string]archive.Rejected), claims: make(map[int32]*claimRow),
	}
}

// The operations that a test can make fail.
const (
	opServer   = "server"
	opBegin    = "begin run"
	opNote     = "note run"
	opEnd      = "end run"
	opSee      = "see functions"
	opUnseen   = "unseen functions"
	opDue      = "due"
	opClaim    = "claim"
	opWork     = "work"
	opArchived = "archived"
	opCommit   = "commit"
	opFail     = "fail"
	opGone     = "gone"
	opRenew    = "renew"
	opRelease  = "release"
)

var errDead = errors.New("the process is dead")

// A fakeStore is one process's way to the database.
type fakeStore struct {
	*database
	owner string

	// Called around the nth operation of a kind; an error of the second is said
	// although the operation is kept.
	before, after func(ctx context.Context, op string, nth int) error

	mu   sync.Mutex
	nth  map[string]int
	dead bool // no operation reaches the database any more, its claims are free
}

func (db *database) connect(owner string) *fakeStore {
	return &fakeStore{database: db, owner: owner, nth: make(map[string]int)}
}

func (s *fakeStore) die() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

func (s *fakeStore) isDead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// do is one transaction.
func (s *fakeStore) do(ctx context.Context, op string, f func() error) error {
	s.mu.Lock()
	s.nth[op]++
	nth := s.nth[op]
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(ctx, op, nth); err != nil {
			return err
		}
	}
	if s.isDead() {
		return errDead
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	s.database.mu.Lock()
	err := f()
	s.database.mu.Unlock()
	if err == nil && s.after != nil {
		err = s.after(ctx, op, nth)
	}
	return err
}

// errAway is a trouble that passes; errDiskFull is one in which nothing was written.
var (
	errAway     = errors.New("the database is away")
	errDiskFull = errors.New("the disk is full")
)

func (s *fakeStore) Trouble(err error) archive.Trouble {
	switch {
	case errors.Is(err, errAway):
		return archive.TroubleLost
	case errors.Is(err, errDiskFull):
		return archive.TroubleRefused
	}
	return archive.NoTrouble
}

func (s *fakeStore) Server(ctx context.Context) (server string, err error) {
	err = s.do(ctx, opServer, func() error {
		server = s.server
		return nil
	})
	return server, err
}

func (s *fakeStore) BeginRun(ctx context.Context, o archive.Order, _ time.Time) (id archive.RunID, err error) {
	err = s.do(ctx, opBegin, func() error {
		s.runs = append(s.runs, runRow{order: o})
		id = archive.RunID(len(s.runs))
		return nil
	})
	return id, err
}

func (s *fakeStore) NoteRun(ctx context.Context, id archive.RunID, n archive.Noted, _ time.Time) error {
	return s.do(ctx, opNote, func() error {
		run := &s.runs[id-1]
		if run.ended {
			s.t.Errorf("run %d was noted after its end", id)
		}
		run.noted = n
		return nil
	})
}

func (s *fakeStore) EndRun(ctx context.Context, id archive.RunID, sum archive.Summary, ended error, _ time.Time) error {
	return s.do(ctx, opEnd, func() error {
		run := &s.runs[id-1]
		if run.ended {
			s.t.Errorf("run %d ended twice", id)
		}
		run.ended, run.summary, run.err = true, sum, ended
		return nil
	})
}

func (s *fakeStore) Exclude(context.Context, archive.RunID, []int32, []int32, bool, time.Time) error {
	return nil
}

func (s *fakeStore) SeeFunctions(ctx context.Context, _ archive.SourceID, functions []archive.Function, at time.Time) (known []archive.Known, err error) {
	err = s.do(ctx, opSee, func() error {
		for _, f := range functions {
			i := slices.IndexFunc(s.functions, func(r *functionRow) bool { return r.URN == f.URN })
			if i < 0 {
				i = len(s.functions)
				s.functions = append(s.functions, &functionRow{Known: archive.Known{ID: int32(i + 1), Function: f, FirstSeen: at}})
			}
			if f := s.functions[i]; !f.Missing.IsZero() {
				f.gone, f.Missing = false, time.Time{}
			}
			s.functions[i].lastSeen = at
			known = append(known, s.functions[i].Known)
		}
		return nil
	})
	return known, err
}

func (s *fakeStore) UnseenFunctions(ctx context.Context, _ archive.SourceID, before time.Time, _ time.Duration) (known []archive.Known, err error) {
	err = s.do(ctx, opUnseen, func() error {
		for _, f := range s.functions {
			if !f.gone && f.lastSeen.Before(before) {
				known = append(known, f.Known)
			}
		}
		return nil
	})
	return known, err
}

// due are the windows that an order asks for, walks left open included.
func (db *database) due(id int32, o archive.Order) (windows []time.Time) {
	for w := o.Range.From; w.Before(o.Range.To); w = w.Add(archive.Hour) {
		state := db.windows[id][w].state
		decided := state == archive.StateComplete || state == archive.StateExpired || state == archive.StateGone && db.functions[id-1].gone
		if !o.Compare && (o.Force || !decided) {
			windows = append(windows, w)
		}
	}
	for w, r := range db.windows[id] {
		if o.Older && w.Before(o.Range.From) && r.state != archive.StateComplete && r.state != archive.StateExpired && r.state != archive.StateGone {
			windows = append(windows, w)
		}
	}
	slices.SortFunc(windows, time.Time.Compare)
	return windows
}

func (s *fakeStore) Due(ctx context.Context, functions []archive.Known, o archive.Order, at time.Time) (due []archive.Due, err error) {
	err = s.do(ctx, opDue, func() error {
		for _, f := range functions {
			windows := s.due(f.ID, o)
			if len(windows) > 0 {
				due = append(due, archive.Due{Known: f, Windows: len(windows), Oldest: windows[0], Newest: windows[len(windows)-1], Settings: s.settingsDue(f.ID, at)})
			} else if len(s.inFlight(f.ID, o)) > 0 || len(s.unverified(f.ID, o)) > 0 {
				due = append(due, archive.Due{Known: f, Oldest: o.Range.From})
			}
		}
		slices.SortStableFunc(due, func(a, b archive.Due) int {
			return cmp.Or(a.Oldest.Compare(b.Oldest), cmp.Compare(b.Windows, a.Windows))
		})
		return nil
	})
	return due, err
}

func (s *fakeStore) Claim(ctx context.Context, function archive.Known) (archive.Claim, error) {
	c := &fakeClaim{store: s, function: function}
	err := s.do(ctx, opClaim, func() error {
		if int(function.ID) > len(s.functions) {
			return errors.New("the function is not known") // to a standby
		}
		held := s.claims[function.ID]
		if held == nil {
			held = &claimRow{}
			s.claims[function.ID] = held
		}
		if held.store != nil && held.expires.After(s.clock.Now()) && !held.store.isDead() {
			return archive.ErrClaimed
		}
		held.store, held.epoch, held.expires = s, held.epoch+1, s.clock.Now().Add(archive.ClaimLife)
		c.epoch, c.server = held.epoch, s.server
		s.claimed(function.URN)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// The rest is read by tests.

// state is that of a window of a function.
func (db *database) state(urn string, window time.Time) windowRow {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, f := range db.functions {
		if f.URN == urn {
			return db.windows[f.ID][window]
		}
	}
	return windowRow{}
}

// ids are the request ids kept, sorted.
func (db *database) ids() []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Sorted(maps.Keys(db.rows))
}

// commits are the batches kept so far.
func (db *database) commits() []committedBatch {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.batches)
}

// steal gives a function to another process, as if the claim had run out.
func (db *database) steal(urn string, thief *fakeStore) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, f := range db.functions {
		if f.URN == urn {
			held := db.claims[f.ID]
			held.store, held.epoch, held.expires = thief, held.epoch+1, db.clock.Now().Add(archive.ClaimLife)
		}
	}
}
