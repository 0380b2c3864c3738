// Package metrics says in Prometheus' words what the archiver does and what the
// archive amounts to.
//
// Counters and histograms are of this process, from its start on, fed by
// [Metrics.Store] and [Metrics.Call]. Gauges about the archive are read from the
// database, whichever process made them so ([Metrics.Watch]). Labels are a
// provider's name or a word of a short list: how many series there are does not
// depend on how many functions are archived.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are those of one process.
type Metrics struct {
	registry       *prometheus.Registry
	records        *prometheus.CounterVec
	calls          *prometheus.CounterVec
	callSeconds    *prometheus.HistogramVec
	commitSeconds  *prometheus.HistogramVec
	commitFailures *prometheus.CounterVec
	runs           *prometheus.CounterVec
	running        *prometheus.GaugeVec
	lookback       *prometheus.GaugeVec
	lookbacks      map[string]time.Duration // by provider, the shortest
	longest        map[string]time.Duration // by provider, the longest
}

// Upper bounds in seconds. A call may take as long as --request-timeout, 30 s
// unless told otherwise; a commit of a page takes milliseconds.
var (
	callBuckets   = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60}
	commitBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// New makes the metrics of a process that is this release of the archiver.
func New(release string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), lookbacks: make(map[string]time.Duration), longest: make(map[string]time.Duration),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_records_total",
			Help: "Records that the source gave, by what became of them: inserted, updated, unchanged (known before as they are) or rejected (no row can hold them).",
		}, []string{"provider", "result"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_calls_total",
			Help: "Calls made to the source, those tried again included, by what they came to. throttled: refused as too many.",
		}, []string{"provider", "outcome"}),
		callSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "archiver_call_duration_seconds", Buckets: callBuckets,
			Help: "How long calls to the source took, with the reading of the answer.",
		}, []string{"provider"}),
		commitSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "archiver_commit_duration_seconds", Buckets: commitBuckets,
			Help: "How long it took to keep pages in the database, with the wait for a connection; failed commits included.",
		}, []string{"provider"}),
		commitFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_commit_failures_total",
			Help: "Commits that the database did not take.",
		}, []string{"provider"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "archiver_runs_total",
			Help: "Runs that ended, by how: complete, incomplete, interrupted or failed, as in the table runs.",
		}, []string{"provider", "outcome"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "archiver_runs_in_progress",
			Help: "Runs of this process that go on now.",
		}, []string{"provider"}),
		lookback: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "archiver_lookback_seconds",
			Help: "How far back windows are due (--lookback): as long as the source keeps its records.",
		}, []string{"provider"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "archiver_build_info",
		Help:        "Always 1; its labels say what the archiver was built from.",
		ConstLabels: prometheus.Labels{"version": release, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.records, m.calls, m.callSeconds, m.commitSeconds, m.commitFailures, m.runs, m.running, m.lookback, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// The words of labels.
var (
	results  = []string{"inserted", "updated", "unchanged", "rejected"}
	runEnded = []string{"complete", "incomplete", "interrupted", "failed"}
)

// Begin makes the series of a source's provider, before the source is read: what
// has not happened yet is 0, so that the first time it does can be seen as an
// increase.
func (m *Metrics) Begin(provider string, outcomes []string, lookback time.Duration) {
	for _, result := range results {
		m.records.WithLabelValues(provider, result)
	}
	for _, outcome := range outcomes {
		m.calls.WithLabelValues(provider, outcome)
	}
	for _, ended := range runEnded {
		m.runs.WithLabelValues(provider, ended)
	}
	m.callSeconds.WithLabelValues(provider)
	m.commitSeconds.WithLabelValues(provider)
	m.commitFailures.WithLabelValues(provider)
	m.running.WithLabelValues(provider)
	// Of several sources of one provider, the one that forgets first.
	if known, ok := m.lookbacks[provider]; !ok || lookback < known {
		m.lookbacks[provider] = lookback
	}
	m.longest[provider] = max(m.longest[provider], lookback)
	m.lookback.WithLabelValues(provider).Set(m.lookbacks[provider].Seconds())
}

// Call counts the calls made to a provider.
func (m *Metrics) Call(provider string) func(outcome string, took time.Duration) {
	seconds := m.callSeconds.WithLabelValues(provider)
	return func(outcome string, took time.Duration) {
		m.calls.WithLabelValues(provider, outcome).Inc()
		seconds.Observe(took.Seconds())
	}
}

// NotOpened counts a run that failed before it began: the provider's source
// could not be opened. No other metric would tell, where others can be.
func (m *Metrics) NotOpened(provider string) {
	m.runs.WithLabelValues(provider, "failed").Inc()
}

// Handler serves them.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// What there is of the metrics is worth more than none.
		ErrorHandling: promhttp.ContinueOnError,
		// Whoever scrapes more often than that waits for nothing.
		MaxRequestsInFlight: 8,
		EnableOpenMetrics:   true,
	})
}
