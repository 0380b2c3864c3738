package simulate

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

// functionColumn names a function in both files of a trace.
const functionColumn = "HashFunction"

// readTable reads a CSV file with a header and calls row for each line, with
// the function's name and the numbers in the named columns, wherever they
// stand. A name that comes twice is an error. values is used again for the next
// row.
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
