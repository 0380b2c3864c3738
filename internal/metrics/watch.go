package metrics

import (
	"context"
	"log/slog"
	"slices"
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
	Overview(ctx context.Context, now time.Time, kept read.Times) (read.Overview, error)
	Size(ctx context.Context, now time.Time) (read.Size, error)
}

// Watch adds the gauges about the archive. If the database does not answer, the
// gauges are absent, because old values would look like current ones; only
// archiver_database_up is present, and 0.
func (m *Metrics) Watch(reader Reader, kept read.Times, clock archive.Clock, log *slog.Logger) {
	m.registry.MustRegister(&overviewCollector{reader: reader, kept: kept, clock: clock, log: log})
}

type overviewCollector struct {
	reader Reader
	clock  archive.Clock
	log    *slog.Logger
	kept   read.Times

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
		"When a pass of run or once, of any process, last archived everything that was due; 0 for never.", []string{"source"}, nil)
	nextAttempt = prometheus.NewDesc("archiver_next_attempt_timestamp_seconds",
		"When the next pass begins: by the schedule, or as the last passes of once came; absent if that is unknown.", []string{"source"}, nil)
	failedPasses = prometheus.NewDesc("archiver_failed_passes",
		"Passes of run or once that have ended without success since the last success.", []string{"source"}, nil)
	verdict = prometheus.NewDesc("archiver_source_verdict",
		"The verdict on a source, as archiver status has it, by what it is about: 0 is ok, 1 a warning, 2 bad.", []string{"source", "about"}, nil)
	sourceInfo = prometheus.NewDesc("archiver_source_info",
		"Always 1. The labels say which account the source is.", []string{"source", "provider", "region", "project"}, nil)
	size = prometheus.NewDesc("archiver_size_bytes",
		"Disk that the tables of the archive take, with their indexes.", nil, nil)
	growth = prometheus.NewDesc("archiver_growth_bytes_per_day",
		"Disk that the records of a day take: the mean of the last seven days that have ended and have records.", nil, nil)
	functions = prometheus.NewDesc("archiver_functions",
		"Functions by state: listed, missing (from whole lists), gone, excluded (by --functions), ignored (archiver ignore), or log_off (listed, but the source keeps no records).", []string{"source", "state"}, nil)
	windows = prometheus.NewDesc("archiver_windows",
		"Windows (one hour of one function) by state: pending, partial, complete, short, failed, gone or expired.", []string{"source", "state"}, nil)
	missed = prometheus.NewDesc("archiver_windows_missed",
		"Expired windows that were due while the source still had their records, and that no operator has acknowledged.", []string{"source"}, nil)
	stuck = prometheus.NewDesc("archiver_windows_stuck",
		"Failed or short windows of which no smaller question can be asked: they wait longer after each failure.", []string{"source"}, nil)
	archived = prometheus.NewDesc("archiver_archived_records",
		"Records in the archive.", []string{"source"}, nil)
	rejected = prometheus.NewDesc("archiver_rejected_records",
		"Records in the table rejected_records.", []string{"source"}, nil)
	inFlight = prometheus.NewDesc("archiver_records_in_flight",
		"Records with status WAIT or RUNNING; the archiver reads them again.", []string{"source"}, nil)
	oldestIncomplete = prometheus.NewDesc("archiver_oldest_incomplete_window_timestamp_seconds",
		"Start of the oldest window that is neither complete nor gone nor expired; absent if there is none.", []string{"source"}, nil)
	oldestDue = prometheus.NewDesc("archiver_oldest_due_window_timestamp_seconds",
		"Start of the oldest window within --source-retention that is neither complete nor gone nor expired; absent if there is none.", []string{"source"}, nil)
	oldestInFlight = prometheus.NewDesc("archiver_oldest_record_in_flight_timestamp_seconds",
		"Start of the oldest record in flight that is still asked for, or of its window if it has not started; absent if there is none.", []string{"source"}, nil)
)

// Describe implements prometheus.Collector.
func (c *overviewCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		databaseUp, lastSuccess, nextAttempt, failedPasses, verdict, sourceInfo, size, growth, functions, windows, missed, stuck, archived, rejected, inFlight, oldestIncomplete, oldestDue, oldestInFlight,
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
	for i := range f.Verdict.Sources {
		s := &f.Verdict.Sources[i]
		gauge(sourceInfo, 1, s.Name, s.Provider, s.Region, s.Project)
		levels := make(map[string]float64)
		for _, r := range s.Reasons {
			levels[r.About] = max(levels[r.About], float64(slices.Index(read.Levels, r.Level)))
		}
		for _, about := range read.Abouts {
			gauge(verdict, levels[about], s.Name, about)
		}
		if s.PassEvery == nil || s.IgnoredAt != nil {
			continue // no pass was made, or none is expected
		}
		gauge(failedPasses, float64(s.FailedPasses), s.Name)
		if s.LastSuccess == nil {
			gauge(lastSuccess, 0, s.Name)
		}
		seconds(lastSuccess, s.LastSuccess, s.Name)
		seconds(nextAttempt, s.NextAttempt, s.Name)
	}
	for _, p := range f.Sources {
		for _, g := range []struct {
			desc  *prometheus.Desc
			state string
			n     int64
		}{
			{functions, "listed", p.Wanted},
			{functions, "missing", p.Missing},
			{functions, "gone", p.Gone},
			{functions, "excluded", p.Excluded},
			{functions, "ignored", p.Ignored},
			{functions, "log_off", p.StatusOff},
			{windows, string(archive.StatePending), p.WindowsPending},
			{windows, string(archive.StatePartial), p.WindowsPartial},
			{windows, string(archive.StateComplete), p.WindowsComplete},
			{windows, string(archive.StateShort), p.WindowsShort},
			{windows, string(archive.StateFailed), p.WindowsFailed},
			{windows, string(archive.StateGone), p.WindowsGone},
			{windows, string(archive.StateExpired), p.WindowsExpired},
		} {
			gauge(g.desc, float64(g.n), p.Name, g.state)
		}
		gauge(missed, float64(p.WindowsMissed), p.Name)
		gauge(stuck, float64(p.WindowsStuck), p.Name)
		gauge(archived, float64(p.Records), p.Name)
		gauge(rejected, float64(p.Rejected), p.Name)
		gauge(inFlight, float64(p.InFlight), p.Name)
		seconds(oldestIncomplete, p.OldestIncomplete, p.Name)
		seconds(oldestDue, p.OldestDue, p.Name)
		seconds(oldestInFlight, p.OldestInFlight, p.Name)
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
		c.overview, c.err = c.reader.Overview(ctx, now, c.kept)
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
