package archive

import (
	"sync"
	"time"
)

// Progress is how far a run has come. It may be read while the run goes on.
type Progress struct {
	mu       sync.Mutex
	totals   Totals
	forecast Forecast
}

// A Forecast is what a run has yet to do, as far as it is known at one moment.
type Forecast struct {
	Coming  int64 // calls yet to be made
	Unknown int64 // functions of which it is not known how many they take: Coming has the least

	// Days is of how many days figures and statistics are made after the calls; 0 if the run
	// ends with its calls.
	Days int
	// Writing is how long commits were under way.
	Writing time.Duration

	commits int       // under way
	since   time.Time // of Writing
}

// Commits notes that a commit begins (1) or has ended (-1).
func (f *Forecast) Commits(n int) {
	now := time.Now()
	if f.commits > 0 {
		f.Writing += now.Sub(f.since)
	}
	f.commits, f.since = f.commits+n, now
}

// Forecast returns a snapshot of the forecast.
func (p *Progress) Forecast() Forecast {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forecast
}

// Foresee changes the forecast. Other calls wait until it returns.
func (p *Progress) Foresee(change func(*Forecast)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.forecast)
}

// Totals is a snapshot of the run's numbers.
func (p *Progress) Totals() Totals {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.totals
}

// Update changes the numbers. Other calls wait until it returns.
func (p *Progress) Update(change func(*Totals)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.totals)
}

// Totals are the numbers of a run at one moment.
type Totals struct {
	Functions int64 // with windows due
	Windows   int64 // due
	Done      int64 // windows that this run decided: the sum of the next five
	Complete  int64 // of these
	Short     int64
	Failed    int64
	Gone      int64
	Expired   int64
	Missed    int64 // of the expired windows, those that were due while the source still had them
	Throttled int64 // windows left pending, since the source throttles their function alone
	Elsewhere int64 // windows that another process decided; set when the run ends
	Compared  int64 // windows whose count was compared with the source's
	Differ    int64 // windows whose count was not the source's
	Missing   int64 // of these, windows of which the source counts more
	Left      int64 // failed calls about records in flight, counts or versions: the next run makes them again
	Inserted  int64 // rows of invocations
	Updated   int64
	Unchanged int64
	Rejected  int64 // rows of rejected_records

	// When all has been read, figures are counted, and then days are merged.
	FigureDays int64 // days whose figures were due
	Counted    int64 // of these
	Months     int64 // old months whose days were to be merged
	Merged     int64 // of these
	Finishing  bool  // at last, old days are dropped and statistics made
}

// Records returns the number of records read and kept, new or known before.
func (t Totals) Records() int64 { return t.Inserted + t.Updated + t.Unchanged }

// Kept counts the rows of a commit.
func (t *Totals) Kept(k Kept) {
	t.Inserted += int64(k.Inserted)
	t.Updated += int64(k.Updated)
	t.Unchanged += int64(k.Unchanged)
	t.Rejected += int64(k.Rejected)
}

// Decided counts n windows that reached a state in this run.
func (t *Totals) Decided(s State, n int) {
	t.Done += int64(n)
	switch s {
	case StateComplete:
		t.Complete += int64(n)
	case StateShort:
		t.Short += int64(n)
	case StateFailed:
		t.Failed += int64(n)
	case StateGone:
		t.Gone += int64(n)
	case StateExpired:
		t.Expired += int64(n)
	case StatePending, StatePartial:
	}
}
