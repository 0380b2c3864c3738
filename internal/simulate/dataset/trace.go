package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	minutesPerDay = 24 * 60
	// maxPerMinute bounds a cell's count. A damaged file is refused before it
	// takes all memory.
	maxPerMinute = 1_000_000
)

// LoadTrace replays a published day, PREFIX_inv.csv (invocations per minute)
// and PREFIX_run.csv (execution times in milliseconds), on the UTC day that
// date lies in: one record for each counted invocation, its second drawn within
// its minute and its duration between the function's percentiles. A function
// is named by its whole hash.
func LoadTrace(prefix string, date time.Time, seed uint64) (*Data, error) {
	d, err := loadTrace(prefix, date, seed)
	if err != nil {
		return nil, fmt.Errorf("load trace %s: %w", prefix, err)
	}
	return d, nil
}

func loadTrace(prefix string, date time.Time, seed uint64) (*Data, error) {
	number, err := parseDay(date)
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

// replayFunction draws a function's records. minutes are its invocations in each
// minute of the day, which are rounded.
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
	// The draws do not depend on the date, so every date replays the same day.
	r := randomFor(seed, "trace", name, 0)
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

// functionColumn is the column of the function's name in both files.
const functionColumn = "HashFunction"

// readTable reads a CSV file with a header. For each line it calls row with the
// function's name and the numbers of the given columns, in any order of columns.
// A function that is listed twice is an error. The next call of row reuses
// values.
func readTable(path string, columns []string, row func(name string, values []float64) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()

	lines := csv.NewReader(f)
	lines.ReuseRecord = true
	header, err := lines.Read()
	if err != nil {
		return fmt.Errorf("%s: read header: %w", path, err)
	}
	nameAt, at, err := findColumns(header, columns)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	values := make([]float64, len(columns))
	seen := map[string]bool{}
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name := line[nameAt]
		for i, field := range at {
			if values[i], err = strconv.ParseFloat(line[field], 64); err != nil {
				return fmt.Errorf("%s: function %s: column %s: %w", path, name, columns[i], err)
			}
		}
		if name == "" || seen[name] {
			return fmt.Errorf("%s: function %q: empty or listed twice", path, name)
		}
		seen[name] = true
		if err := row(name, values); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

func findColumns(header, columns []string) (name int, at []int, err error) {
	index := make(map[string]int, len(header))
	for i, column := range slices.Backward(header) {
		index[column] = i
	}
	name, ok := index[functionColumn]
	if !ok {
		return 0, nil, fmt.Errorf("no column %s", functionColumn)
	}
	for _, column := range columns {
		i, ok := index[column]
		if !ok {
			return 0, nil, fmt.Errorf("no column %s", column)
		}
		at = append(at, i)
	}
	return name, at, nil
}
