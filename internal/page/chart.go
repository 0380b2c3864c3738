package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"archiver/internal/words"
)

// A bar is one column of a chart.
type bar struct {
	at    time.Time
	value float64
	past  bool // false in the future: nothing is drawn
}

// A chart is a row of bars over time, with axes and a summary.
type chart struct {
	Title, Summary string
	Class          string
	Levels         []string // labels of the axis, from the top down
	Times          []string
	Bars           template.HTML // bars of an SVG of this Width and of height 100
	Width          int
}

// newChart draws a chart of bars. kind names the values, and is their class.
func newChart(title, kind string, z zoom, bars []bar) chart {
	c := chart{Title: title, Class: kind, Width: len(bars) * barWidth}
	var most, sum float64
	var peak bar
	for _, b := range bars {
		sum += b.value
		if b.value > most {
			most, peak = b.value, b
		}
	}
	top := niceTop(most)
	for _, part := range []float64{1, 0.5, 0} {
		c.Levels = append(c.Levels, compactNumber(top*part))
	}
	shape := axisTimeFormat(z)
	for i := range axisTimes {
		c.Times = append(c.Times, bars[i*(len(bars)-1)/(axisTimes-1)].at.Format(shape))
	}
	var b strings.Builder
	for i, v := range bars {
		if !v.past || v.value == 0 {
			continue
		}
		height := max(1, 100*v.value/top) // a value above 0 is visible
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%d" height="%.1f"><title>%s: %s</title></rect>`,
			i*barWidth, 100-height, barWidth-barGap, height, v.at.Format(barTimeFormat(z)), valueText(v.value))
	}
	c.Bars = template.HTML(b.String()) //nolint:gosec // only numbers and times
	switch {
	case sum == 0:
		c.Summary = "No " + kind + " in this time."
	case z.unit() == "hour":
		c.Summary = fmt.Sprintf("%s in all, at most %s an hour, %s.", words.Number(int64(sum)), valueText(most), peak.at.Format("2 Jan 15:04"))
	default:
		c.Summary = fmt.Sprintf("Mean of each %s; at most %s an hour, the %s of %s.", z.unit(), valueText(most), z.unit(), peak.at.Format("2 Jan"))
	}
	return c
}

const (
	barWidth, barGap = 10, 2
	axisTimes        = 5
)

// niceTop returns a round number for the top of the axis.
func niceTop(most float64) float64 {
	if most <= 0 {
		return 1
	}
	size := math.Pow(10, math.Floor(math.Log10(most)))
	for _, step := range []float64{1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10} {
		if most <= step*size {
			return max(step*size, 1)
		}
	}
	return 10 * size
}

// valueText formats the value of a bar. A mean may have decimals.
func valueText(v float64) string {
	if v >= 100 || v == math.Trunc(v) {
		return words.Number(int64(math.Round(v)))
	}
	return fmt.Sprintf("%.2g", v)
}

func axisTimeFormat(z zoom) string {
	if z.Key == "day" {
		return "15:04"
	}
	return "2 Jan"
}

func barTimeFormat(z zoom) string {
	if z.unit() == "hour" {
		return "2 Jan 15:04"
	}
	return "2 Jan 2006"
}
