package archive

import "sync/atomic"

// Progress is how far a run has come. It may be read while the run goes on.
type Progress struct {
	functions, windows, done               atomic.Int64
	inserted, updated, unchanged, rejected atomic.Int64
	complete, short, failed, gone          atomic.Int64
	compared, differ, missing, left        atomic.Int64
}

// Totals are the numbers of a run at one moment.
type Totals struct {
	Functions int64 // with windows due
	Windows   int64 // due
	Done      int64 // windows decided in this run, whichever way
	Complete  int64 // of these
	Short     int64
	Failed    int64
	Gone      int64
	Elsewhere int64 // windows that another worker decided, known at the end
	Compared  int64 // windows whose count was compared with the source's
	Differ    int64 // windows whose count was not the source's
	Missing   int64 // of these, windows of which the source counts more
	Left      int64 // questions beside reading windows that failed: left to the next run
	Inserted  int64 // rows of invocations
	Updated   int64
	Unchanged int64
	Rejected  int64 // rows of rejected_records
}

// Records is the number of records read and kept, new or known before.
func (t Totals) Records() int64 { return t.Inserted + t.Updated + t.Unchanged }

// Totals is a snapshot of the run's numbers.
func (p *Progress) Totals() Totals {
	return Totals{
		Functions: p.functions.Load(), Windows: p.windows.Load(), Done: p.done.Load(),
		Complete: p.complete.Load(), Short: p.short.Load(), Failed: p.failed.Load(),
		Gone: p.gone.Load(), Compared: p.compared.Load(), Differ: p.differ.Load(), Missing: p.missing.Load(), Left: p.left.Load(),
		Inserted: p.inserted.Load(), Updated: p.updated.Load(), Unchanged: p.unchanged.Load(),
		Rejected: p.rejected.Load(),
	}
}

func (p *Progress) kept(k Kept) {
	p.inserted.Add(int64(k.Inserted))
	p.updated.Add(int64(k.Updated))
	p.unchanged.Add(int64(k.Unchanged))
	p.rejected.Add(int64(k.Rejected))
}

// decided notes that n windows reached a state in this run.
func (p *Progress) decided(s State, n int) {
	p.done.Add(int64(n))
	switch s {
	case StateComplete:
		p.complete.Add(int64(n))
	case StateShort:
		p.short.Add(int64(n))
	case StateFailed:
		p.failed.Add(int64(n))
	case StateGone:
		p.gone.Add(int64(n))
	case StatePending, StatePartial:
	}
}
