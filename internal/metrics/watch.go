package metrics

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"archiver/internal/archive"
	"archiver/internal/load"
)

const (
	// readEvery is how often the database is asked, however often it is scraped.
	readEvery = 15 * time.Second
	// readTimeout is less than the ten seconds in which a scrape has to answer.
	readTimeout = 4 * time.Second
)

// A Reader knows what the archive amounts to.
type Reader interface {
	Overview(ctx context.Context, since map[string]time.Time) (load.Overview, error)
}

// Watch adds the gauges about the archive. Where the database does not answer,
// they are left out but for archiver_database_up, which is 0 then: old numbers
// would look like new ones. Every source has begun by then.
func (m *Metrics) Watch(of Reader, clock archive.Clock, log *slog.Logger) {
	m.registry.MustRegister(&watch{reader: of, clock: clock, log: log, longest: maps.Clone(m.longest)})
}

type watch struct {
	reader Reader
	clock  archive.Clock
	log    *slog.Logger

	longest map[string]time.Duration // how far back windows are due, by provider

	mu       sync.Mutex // held while it is read: scrapes share what that gives
	overview load.Overview
	err      error
	at       time.Time // when it was read; zero for never
}

var (
	databaseUp = prometheus.NewDesc("archiver_database_up",
		"Whether the database answered, when it was last asked.", nil, nil)
	lastSuccess = prometheus.NewDesc("archiver_last_success_timestamp_seconds",
		"When a pass over everything due, by run or once of any process, last ended with all of it archived; 0 for never.", nil, nil)
	functions = prometheus.NewDesc("archiver_functions",
		"Functions: listed, gone, or log_off (of those listed, the source keeps no records).", []string{"provider", "state"}, nil)
	windows = prometheus.NewDesc("archiver_windows",
		"Windows of one function and hour, by state: pending, partial, complete, short, failed or gone.", []string{"provider", "state"}, nil)
	archived = prometheus.NewDesc("archiver_archived_records",
		"Records that the archive holds.", []string{"provider"}, nil)
	rejected = prometheus.NewDesc("archiver_rejected_records",
		"Records in the table rejected_records.", []string{"provider"}, nil)
	inFlight = prometheus.NewDesc("archiver_records_in_flight",
		"Records that wait or run, and are asked for again.", []string{"provider"}, nil)
	oldestIncomplete = prometheus.NewDesc("archiver_oldest_incomplete_window_timestamp_seconds",
		"Start of the oldest window that is neither complete nor gone; not there where there is none.", []string{"provider"}, nil)
	oldestDue = prometheus.NewDesc("archiver_oldest_due_window_timestamp_seconds",
		"Start of the oldest window within --lookback that is neither complete nor gone; not there where there is none.", []string{"provider"}, nil)
	oldestInFlight = prometheus.NewDesc("archiver_oldest_record_in_flight_timestamp_seconds",
		"Start of the oldest record in flight, or of its window where it has not started; not there where there is none.", []string{"provider"}, nil)
)

// Describe is for the registry.
func (w *watch) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		databaseUp, lastSuccess, functions, windows, archived, rejected, inFlight, oldestIncomplete, oldestDue, oldestInFlight,
	} {
		to <- d
	}
}

// Collect is for the registry.
func (w *watch) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	seconds := func(d *prometheus.Desc, t *time.Time, labels ...string) {
		if t != nil {
			gauge(d, float64(t.UnixMilli())/1000, labels...)
		}
	}
	f, err := w.read()
	if err != nil {
		gauge(databaseUp, 0)
		return
	}
	gauge(databaseUp, 1)
	if f.LastSuccess == nil {
		gauge(lastSuccess, 0)
	}
	seconds(lastSuccess, f.LastSuccess)
	for _, p := range f.Providers {
		for _, of := range []struct {
			d     *prometheus.Desc
			state string
			n     int64
		}{
			{functions, "listed", p.Listed},
			{functions, "gone", p.Gone},
			{functions, "log_off", p.StatusOff},
			{windows, string(archive.StatePending), p.WindowsPending},
			{windows, string(archive.StatePartial), p.WindowsPartial},
			{windows, string(archive.StateComplete), p.WindowsComplete},
			{windows, string(archive.StateShort), p.WindowsShort},
			{windows, string(archive.StateFailed), p.WindowsFailed},
			{windows, string(archive.StateGone), p.WindowsGone},
		} {
			gauge(of.d, float64(of.n), p.Provider, of.state)
		}
		gauge(archived, float64(p.Records), p.Provider)
		gauge(rejected, float64(p.Rejected), p.Provider)
		gauge(inFlight, float64(p.InFlight), p.Provider)
		seconds(oldestIncomplete, p.OldestIncomplete, p.Provider)
		seconds(oldestDue, p.OldestDue, p.Provider)
		seconds(oldestInFlight, p.OldestInFlight, p.Provider)
	}
}

// read is what the archive amounted to at most readEvery ago.
func (w *watch) read() (load.Overview, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.clock.Now(); w.at.IsZero() || now.Sub(w.at) >= readEvery {
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		defer cancel()
		failed := w.err != nil
		since := make(map[string]time.Time)
		for provider, lookback := range w.longest {
			since[provider] = now.Add(-lookback)
		}
		w.overview, w.err = w.reader.Overview(ctx, since)
		w.at = w.clock.Now()
		if w.err != nil && !failed {
			w.log.Warn("metrics are without what the archive amounts to", "error", w.err)
		}
	}
	return w.overview, w.err
}
