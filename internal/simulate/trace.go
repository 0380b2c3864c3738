package simulate

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

const (
	minutesPerDay = 24 * 60
	// maxPerMinute bounds what one cell may ask for, so that a damaged file
	// ends in an error and not in all memory taken.
	maxPerMinute = 1_000_000
)

// LoadTrace replays a published day, PREFIX_inv.csv (invocations per minute)
// and PREFIX_run.csv (execution times in milliseconds), on the UTC day that
// date lies in: one record for each counted invocation, its second drawn within
// its minute and its duration between the function's percentiles. A function
// keeps its whole hash for a name.
func LoadTrace(prefix string, date time.Time, seed uint64) (*Data, error) {
	d, err := loadTrace(prefix, date, seed)
	if err != nil {
		return nil, fmt.Errorf("load trace %s: %w", prefix, err)
	}
	return d, nil
}

func loadTrace(prefix string, date time.Time, seed uint64) (*Data, error) {
	number, err := newDay(date)
	if err != nil {
		return nil, err
	}
	runs, err := readRuns(prefix + "_run.csv")
	if err != nil {
		return nil, err
	}
	var names []string
	y := &day{number: number}
	err = readTable(prefix+"_inv.csv", minuteColumns(), func(name string, minutes []float64) error {
		durations, ok := runs[name]
		if !ok {
			return fmt.Errorf("function %s: no execution times", name)
		}
		records, err := replayFunction(name, minutes, durations, seed)
		if err != nil {
			return fmt.Errorf("function %s: %w", name, err)
		}
		names = append(names, name)
		y.functions = append(y.functions, records)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids, err := newRequestIDs(seed, "trace", names)
	if err != nil {
		return nil, err
	}
	return replay(names, ids, seed, y), nil
}

// readRuns returns each function's execution times.
func readRuns(path string) (map[string]percentiles, error) {
	var columns []string
	for _, rank := range ranks {
		columns = append(columns, "percentile_Average_"+strconv.FormatFloat(rank*100, 'f', -1, 64))
	}
	runs := map[string]percentiles{}
	err := readTable(path, columns, func(name string, values []float64) error {
		for i, v := range values {
			if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("function %s: %s is %v, not a time in ms", name, columns[i], v)
			}
		}
		runs[name] = percentiles(values)
		return nil
	})
	return runs, err
}

func minuteColumns() []string {
	columns := make([]string, minutesPerDay)
	for i := range columns {
		columns[i] = "minute_" + strconv.Itoa(i+1)
	}
	return columns
}

// replayFunction draws a function's records; minutes are its invocations in
// each minute of the day, to be rounded.
func replayFunction(name string, minutes []float64, durations percentiles, seed uint64) ([]packed, error) {
	counts, total := make([]int, len(minutes)), 0
	for i, v := range minutes {
		v = math.Round(v)
		if !(v >= 0 && v <= maxPerMinute) {
			return nil, fmt.Errorf("minute %d has %v invocations, not 0 to %d", i+1, minutes[i], maxPerMinute)
		}
		counts[i] = int(v)
		total += counts[i]
	}
	// The draws do not depend on the date: the day that is replayed is one and
	// the same.
	r := source(seed, "trace", name, 0)
	b := newBehaviour(r, durations)
	records := make([]packed, 0, total)
	hits := make([]uint32, 60)
	for minute, n := range counts {
		if n > 0 {
			records = b.spread(r, records, minute*60, n, hits)
		}
	}
	return records, nil
}
