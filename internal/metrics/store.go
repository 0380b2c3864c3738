package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"archiver/internal/archive"
)

// Store wraps a store and counts its commits.
func (m *Metrics) Store(inner archive.Store, source string) archive.Store {
	return &countingStore{Store: inner, metrics: m, source: source}
}

type countingStore struct {
	archive.Store
	metrics *Metrics
	source  string
}

func (s *countingStore) Claim(ctx context.Context, f archive.Known) (archive.Claim, error) {
	c, err := s.Store.Claim(ctx, f)
	if err != nil {
		return nil, err
	}
	return &countingClaim{
		Claim:    c,
		records:  s.metrics.records.MustCurryWith(prometheus.Labels{"source": s.source}),
		seconds:  s.metrics.commitSeconds.WithLabelValues(s.source),
		failures: s.metrics.commitFailures.WithLabelValues(s.source),
	}, nil
}

type countingClaim struct {
	archive.Claim
	records  *prometheus.CounterVec
	seconds  prometheus.Observer
	failures prometheus.Counter
}

func (c *countingClaim) Commit(ctx context.Context, b archive.Batch) (archive.Kept, error) {
	defer c.observe(time.Now())
	kept, err := c.Claim.Commit(ctx, b)
	c.count(kept, err)
	return kept, err
}

func (c *countingClaim) Follow(ctx context.Context, r archive.InFlightRecord, found []archive.Invocation, rejected []archive.Rejected, at time.Time) (archive.Kept, error) {
	defer c.observe(time.Now())
	kept, err := c.Claim.Follow(ctx, r, found, rejected, at)
	c.count(kept, err)
	return kept, err
}

func (c *countingClaim) observe(began time.Time) { c.seconds.Observe(time.Since(began).Seconds()) }

func (c *countingClaim) count(k archive.Kept, err error) {
	if err != nil {
		// Losing the claim to another worker is not a failure of the database.
		if !errors.Is(err, archive.ErrClaimLost) {
			c.failures.Inc()
		}
		return
	}
	for i, n := range []int{k.Inserted, k.Updated, k.Unchanged, k.Rejected} {
		c.records.WithLabelValues(results[i]).Add(float64(n))
	}
}
