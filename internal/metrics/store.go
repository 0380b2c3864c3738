package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"archiver/internal/archive"
)

// Store counts what is kept, and the runs, on the way to the store.
func (m *Metrics) Store(of archive.Store, provider string) archive.Store {
	return &store{Store: of, metrics: m, provider: provider}
}

type store struct {
	archive.Store
	metrics  *Metrics
	provider string
}

func (s *store) BeginRun(ctx context.Context, o archive.Order, at time.Time) (archive.RunID, error) {
	id, err := s.Store.BeginRun(ctx, o, at)
	if err == nil {
		s.metrics.running.WithLabelValues(s.provider).Inc()
	} else {
		s.metrics.runs.WithLabelValues(s.provider, archive.RunOutcome(err)).Inc() // it has no end of its own
	}
	return id, err
}

func (s *store) EndRun(ctx context.Context, id archive.RunID, sum archive.Summary, ended error, at time.Time) error {
	s.metrics.running.WithLabelValues(s.provider).Dec()
	err := s.Store.EndRun(ctx, id, sum, ended, at)
	if ended == nil {
		ended = err // nobody will know that it was complete
	}
	s.metrics.runs.WithLabelValues(s.provider, archive.RunOutcome(ended)).Inc()
	return err
}

func (s *store) Claim(ctx context.Context, f archive.Known) (archive.Claim, error) {
	c, err := s.Store.Claim(ctx, f)
	if err != nil {
		return nil, err
	}
	return &claim{
		Claim:    c,
		records:  s.metrics.records.MustCurryWith(prometheus.Labels{"provider": s.provider}),
		seconds:  s.metrics.commitSeconds.WithLabelValues(s.provider),
		failures: s.metrics.commitFailures.WithLabelValues(s.provider),
	}, nil
}

type claim struct {
	archive.Claim
	records  *prometheus.CounterVec
	seconds  prometheus.Observer
	failures prometheus.Counter
}

func (c *claim) Commit(ctx context.Context, b archive.Batch) (archive.Kept, error) {
	defer c.timed(time.Now())
	kept, err := c.Claim.Commit(ctx, b)
	c.count(kept, err)
	return kept, err
}

func (c *claim) Follow(ctx context.Context, r archive.InFlightRecord, found []archive.Invocation, rejected []archive.Rejected, at time.Time) (archive.Kept, error) {
	defer c.timed(time.Now())
	kept, err := c.Claim.Follow(ctx, r, found, rejected, at)
	c.count(kept, err)
	return kept, err
}

func (c *claim) timed(began time.Time) { c.seconds.Observe(time.Since(began).Seconds()) }

func (c *claim) count(k archive.Kept, err error) {
	if err != nil {
		// A claim that another worker has taken over is no trouble of the database's.
		if !errors.Is(err, archive.ErrClaimLost) {
			c.failures.Inc()
		}
		return
	}
	for i, n := range []int{k.Inserted, k.Updated, k.Unchanged, k.Rejected} {
		c.records.WithLabelValues(results[i]).Add(float64(n))
	}
}
