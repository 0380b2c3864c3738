package metrics

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

const (
	// readEvery is the shortest time between two queries; scrapes in between
	// get the last result.
	readEvery = 15 * time.Second
	// readTimeout is less than Prometheus' default scrape timeout of 10 s.
	readTimeout = 4 * time.Second
)

// A Reader reads the overview of the archive.
type Reader interface {
	Overview(ctx context.Context, now time.Time, since map[string]time.Time) (read.Overview, error)
	Size(ctx context.Context, now time.Time) (read.Size, error)
}

// Watch adds the gauges about the archive. If the database does not answer, the
// gauges are absent, because old values would look like current ones; only
// archiver_database_up is present, and 0. Call Watch after Begin of all
// sources.
func (m *Metrics) Watch(reader Reader, clock archive.Clock, log *slog.Logger) {
	m.registry.MustRegister(&overviewCollector{reader: reader, clock: clock, log: log, longestRetention: maps.Clone(m.longestRetention)})
}

type overviewCollector struct {
	reader Reader
	clock  archive.Clock
	log    *slog.Logger

	longestRetention map[string]time.Duration // the longest --source-retention, by provider

	mu       sync.Mutex // held while the database is read: concurrent scrapes share one query
	overview read.Overview
	size     read.Size
	err      error
	readAt   time.Time // when the overview was read; zero means never
}

var (
	databaseUp = prometheus.NewDesc("archiver_database_up",
		"1 if the last query to the database succeeded, else 0.", nil, nil)
	lastSuccess = prometheus.NewDesc("archiver_last_success_timestamp_seconds",
		"When a pass of run or once, of any process, last archived everything that was due; 0 for never.", nil, nil)
	size = prometheus.NewDesc("archiver_size_bytes",
		"Disk that the tables of the archive take, with their indexes.", nil, nil)
	growth = prometheus.NewDesc("archiver_growth_bytes_per_day",
		"Disk that the records of a day take: the mean of the last seven days that have ended and have records.", nil, nil)
	functions = prometheus.NewDesc("archiver_functions",
		"Functions by state: listed, gone, or log_off (listed, but the source keeps no records).", []string{"provider", "state"}, nil)
	windows = prometheus.NewDesc("archiver_windows",
		"Windows (one hour of one function) by state: pending, partial, complete, short, failed, gone or expired.", []string{"provider", "state"}, nil)
	missed = prometheus.NewDesc("archiver_windows_missed",
		"Expired windows that were due while the source still had their records, and that no operator has acknowledged.", []string{"provider"}, nil)
	stuck = prometheus.NewDesc("archiver_windows_stuck",
		"Failed or short windows of which no smaller question can be asked: they wait longer after each failure.", []string{"provider"}, nil)
	listsNotWhole = prometheus.NewDesc("archiver_function_lists_not_whole",
		"Sources whose list of functions was not whole when it was last read.", []string{"provider"}, nil)
	archived = prometheus.NewDesc("archiver_archived_records",
		"Records in the archive.", []string{"provider"}, nil)
	rejected = prometheus.NewDesc("archiver_rejected_records",
		"Records in the table rejected_records.", []string{"provider"}, nil)
	inFlight = prometheus.NewDesc("archiver_records_in_flight",
		"Records with status WAIT or RUNNING; the archiver reads them again.", []string{"provider"}, nil)
	oldestIncomplete = prometheus.NewDesc("archiver_oldest_incomplete_window_timestamp_seconds",
		"Start of the oldest window that is neither complete nor gone nor expired; absent if there is none.", []string{"provider"}, nil)
	oldestDue = prometheus.NewDesc("archiver_oldest_due_window_timestamp_seconds",
		"Start of the oldest window within --source-retention that is neither complete nor gone nor expired; absent if there is none.", []string{"provider"}, nil)
	oldestInFlight = prometheus.NewDesc("archiver_oldest_record_in_flight_timestamp_seconds",
		"Start of the oldest record in flight, or of its window if it has not started; absent if there is none.", []string{"provider"}, nil)
)

// Describe implements prometheus.Collector.
func (c *overviewCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		databaseUp, lastSuccess, size, growth, functions, windows, missed, stuck, listsNotWhole, archived, rejected, inFlight, oldestIncomplete, oldestDue, oldestInFlight,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *overviewCollector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	seconds := func(d *prometheus.Desc, t *time.Time, labels ...string) {
		if t != nil {
			gauge(d, float64(t.UnixMilli())/1000, labels...)
		}
	}
	f, disk, err := c.read()
	if err != nil {
		gauge(databaseUp, 0)
		return
	}
	gauge(databaseUp, 1)
	gauge(size, float64(disk.Bytes))
	gauge(growth, float64(disk.BytesADay))
	if f.LastSuccess == nil {
		gauge(lastSuccess, 0)
	}
	seconds(lastSuccess, f.LastSuccess)
	for _, p := range f.Providers {
		for _, g := range []struct {
			desc  *prometheus.Desc
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
			{windows, string(archive.StateExpired), p.WindowsExpired},
		} {
			gauge(g.desc, float64(g.n), p.Provider, g.state)
		}
		gauge(missed, float64(p.WindowsMissed), p.Provider)
		gauge(stuck, float64(p.WindowsStuck), p.Provider)
		gauge(listsNotWhole, float64(p.ListsNotWhole), p.Provider)
		gauge(archived, float64(p.Records), p.Provider)
		gauge(rejected, float64(p.Rejected), p.Provider)
		gauge(inFlight, float64(p.InFlight), p.Provider)
		seconds(oldestIncomplete, p.OldestIncomplete, p.Provider)
		seconds(oldestDue, p.OldestDue, p.Provider)
		seconds(oldestInFlight, p.OldestInFlight, p.Provider)
	}
}

// read returns the overview and the size, at most readEvery old.
func (c *overviewCollector) read() (read.Overview, read.Size, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Now(); c.readAt.IsZero() || now.Sub(c.readAt) >= readEvery {
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		defer cancel()
		failedBefore := c.err != nil
		since := make(map[string]time.Time)
		for provider, retention := range c.longestRetention {
			since[provider] = now.Add(-retention)
		}
		c.overview, c.err = c.reader.Overview(ctx, now, since)
		if c.err == nil {
			c.size, c.err = c.reader.Size(ctx, now)
		}
		c.readAt = c.clock.Now()
		if c.err != nil && !failedBefore {
			c.log.Warn("cannot read the metrics of the archive", "error", c.err)
		}
	}
	return c.overview, c.size, c.err
}
