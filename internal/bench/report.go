package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// measure is one line of the table.
type measure struct {
	benchmark string
	what      string
	value     string
	target    string // empty for none
	met       bool
}

// figure is a measure without a target.
func figure(what, format string, args ...any) measure {
	return measure{what: what, value: fmt.Sprintf(format, args...)}
}

// atMost is a measure that must not be larger than its target. Both are compared as
// shown, after rounding.
func atMost(what, format string, value, target float64) measure {
	return measure{
		what: what, value: fmt.Sprintf(format, value), target: "≤ " + fmt.Sprintf(format, target),
		met: shown(format, value) <= shown(format, target),
	}
}

// atLeast is a measure that must not be smaller than its target.
func atLeast(what, format string, value, target float64) measure {
	return measure{
		what: what, value: fmt.Sprintf(format, value), target: "≥ " + fmt.Sprintf(format, target),
		met: shown(format, value) >= shown(format, target),
	}
}

func shown(format string, value float64) float64 {
	var v float64
	if _, err := fmt.Sscanf(fmt.Sprintf(format, value), "%g", &v); err != nil {
		return math.NaN() // meets no target
	}
	return v
}

func (m *measure) verdict() string {
	switch {
	case m.target == "":
		return ""
	case m.met:
		return "yes"
	}
	return "NO"
}

func table(measures []measure) string {
	rows := [][]string{{"benchmark", "measure", "value", "target", "met"}}
	for i := range measures {
		m := &measures[i]
		rows = append(rows, []string{m.benchmark, m.what, m.value, m.target, m.verdict()})
	}
	return markdown(rows)
}

// markdown is an aligned table. The first row is the header.
func markdown(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("-", w)
	}
	var text strings.Builder
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		for i, cell := range row {
			text.WriteString("| " + cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+1))
		}
		text.WriteString("|\n")
	}
	return text.String()
}

// byHand is the heading of the section that is written by hand, the last one.
const byHand = "## Where the time goes\n"

// keep writes bench/results.md and leaves the section by hand unchanged.
func (b *bench) keep(ctx context.Context, measures []measure) error {
	file := filepath.Join("bench", "results.md")
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	machine, err := b.machine(ctx)
	if err != nil {
		return err
	}
	text := results(string(old), machine, measures, b.columns)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644) //nolint:gosec // G306: the file is part of the repository and readable by all
}

// results is the text of the file, with the section by hand from the old text.
func results(old, machine string, measures []measure, columns []column) string {
	_, hand, _ := strings.Cut(old, byHand)
	return "# Results\n\n`make bench` writes this page, except for its last section. Only the ratios can be compared between\n" +
		"machines.\n\n" + machine + "\n\n" + table(measures) +
		"\n## What a column costs\n\nBytes a row, on the archived day.\n\n" + columnTable(columns) + "\n" + byHand + hand
}

// machine says what the results were measured on, and when.
func (b *bench) machine(ctx context.Context) (string, error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", err
	}
	var kib float64
	if _, err := fmt.Sscanf(string(info), "MemTotal: %f kB", &kib); err != nil {
		return "", fmt.Errorf("read the memory size: %w", err)
	}
	conn, err := pgx.Connect(ctx, b.server.URL())
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	var version string
	if err := conn.QueryRow(ctx, `SHOW server_version`).Scan(&version); err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	version, _, _ = strings.Cut(version, " ")
	return fmt.Sprintf("%d cores, %.0f GiB; PostgreSQL %s, fsync on; %s.",
		runtime.NumCPU(), kib/(1<<20), version, time.Now().UTC().Format(time.DateOnly)), nil
}

// median returns the median of a list, which must not be empty.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}
