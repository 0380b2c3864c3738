// Package metrics exports Prometheus metrics of the archiver and of the
// archive.
//
// Counters and histograms count what this process has done since its start
// ([Metrics.Store], [Metrics.Call]). Gauges about the archive are read from the
// database, and include the work of other processes ([Metrics.Watch]). The
// values of labels come from short lists, so the number of series does not
// depend on the number of functions.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"archiver/internal/archive"
)

// Metrics are the metrics of one process.
type Metrics struct {
	registry       *prometheus.Registry
	records        *prometheus.CounterVec
	calls          *prometheus.CounterVec
	callSeconds    *prometheus.HistogramVec
	commitSeconds  *prometheus.HistogramVec
	commitFailures *prometheus.CounterVec
	runs           *prometheus.CounterVec
	running        *prometheus.GaugeVec
	clocksApart    *prometheus.GaugeVec
	lookback       *prometheus.GaugeVec
	retention      *prometheus.GaugeVec
}

// Upper bounds in seconds. A call takes at most --request-timeout (default 30
// s). Committing a page takes milliseconds.
var (
	callBuckets   = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60}
	commitBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// New makes the metrics of a process of this release.
func New(release string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_records_total",
			Help: "Records that the source returned, by result: inserted, updated, unchanged (already stored) or rejected (cannot be stored as a row).",
		}, []string{"source", "result"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_calls_total",
			Help: "Calls to the source, retries included, by outcome. throttled: the source answered that there are too many calls.",
		}, []string{"source", "outcome"}),
		callSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "archiver_call_duration_seconds", Buckets: callBuckets,
			Help: "Duration of a call to the source, reading the answer included.",
		}, []string{"source"}),
		commitSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "archiver_commit_duration_seconds", Buckets: commitBuckets,
			Help: "Duration of a commit of pages to the database, waiting for a connection and failed commits included.",
		}, []string{"source"}),
		commitFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_commit_failures_total",
			Help: "Commits that failed in the database.",
		}, []string{"source"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_runs_total",
			Help: "Finished runs, by outcome: complete, incomplete, interrupted or failed, as in the table runs.",
		}, []string{"source", "outcome"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "archiver_runs_in_progress",
			Help: "Running runs of this process.",
		}, []string{"source"}),
		clocksApart: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "archiver_clocks_apart_seconds",
			Help: "By how much the clocks of the machine, the database and the source differed in the last pass.",
		}, []string{"source"}),
		lookback: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "archiver_lookback_seconds",
			Help: "How far back windows are due (--lookback).",
		}, []string{"source"}),
		retention: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "archiver_source_retention_seconds",
			Help: "How long the source keeps records (--source-retention).",
		}, []string{"source"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "archiver_build_info",
		Help:        "Always 1. The labels name the versions of the archiver and of Go.",
		ConstLabels: prometheus.Labels{"version": release, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.records, m.calls, m.callSeconds, m.commitSeconds, m.commitFailures, m.runs, m.running, m.clocksApart, m.lookback, m.retention, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// The values of the labels result and outcome.
var (
	results     = []string{"inserted", "updated", "unchanged", "rejected"}
	runOutcomes = []string{"complete", "incomplete", "interrupted", "failed"}
)

// Begin creates the series of a source before it is read. They
// start at 0, so that Prometheus sees the first event as an increase.
func (m *Metrics) Begin(source string, outcomes []string, lookback, retention time.Duration) {
	for _, result := range results {
		m.records.WithLabelValues(source, result)
	}
	for _, outcome := range outcomes {
		m.calls.WithLabelValues(source, outcome)
	}
	for _, ended := range runOutcomes {
		m.runs.WithLabelValues(source, ended)
	}
	m.callSeconds.WithLabelValues(source)
	m.commitSeconds.WithLabelValues(source)
	m.commitFailures.WithLabelValues(source)
	m.running.WithLabelValues(source)
	m.lookback.WithLabelValues(source).Set(lookback.Seconds())
	m.retention.WithLabelValues(source).Set(retention.Seconds())
}

// Call returns a function that counts the calls to a source (see
// extract.Options.Observe).
func (m *Metrics) Call(source string) func(outcome string, took time.Duration) {
	seconds := m.callSeconds.WithLabelValues(source)
	return func(outcome string, took time.Duration) {
		m.calls.WithLabelValues(source, outcome).Inc()
		seconds.Observe(took.Seconds())
	}
}

// Run counts a run of a source as running until ended is called.
func (m *Metrics) Run(source string) (ended func(error)) {
	m.running.WithLabelValues(source).Inc()
	return func(err error) {
		m.running.WithLabelValues(source).Dec()
		m.runs.WithLabelValues(source, archive.RunOutcome(err)).Inc()
	}
}

// Clocks notes by how much the clocks differed in a pass of a source.
func (m *Metrics) Clocks(source string, apart time.Duration) {
	m.clocksApart.WithLabelValues(source).Set(apart.Seconds())
}

// NotOpened counts a failed run of a source that could not be opened. Such a
// run has no other metric.
func (m *Metrics) NotOpened(source string) {
	m.runs.WithLabelValues(source, "failed").Inc()
}

// Handler serves the metrics.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// If some metrics cannot be collected, serve the others.
		ErrorHandling: promhttp.ContinueOnError,
		// More concurrent scrapes get status 503.
		MaxRequestsInFlight: 8,
		EnableOpenMetrics:   true,
	})
}
