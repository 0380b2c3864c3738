package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	barRefresh = 150 * time.Millisecond
	leastBar   = 6 // columns
)

// drawBar draws the progress of a run on the last line of the console's terminal
// until stop is called. Each drawing fits the width that the terminal has then.
func drawBar(c *Console, read func() reading, compares bool) (stop func()) {
	drawn := mpb.New(mpb.WithOutput(file(c)), mpb.WithRefreshRate(barRefresh), mpb.WithAutoRefresh())
	style := mpb.BarStyle().Build()
	bar := drawn.MustAdd(0, mpb.BarFillerFunc(func(w io.Writer, stat decor.Statistics) error {
		f := read()
		planned, text := barText(f, compares, stat.AvailableWidth)
		room := stat.AvailableWidth - Width(text) - 1
		if planned && room >= leastBar {
			var drawn bytes.Buffer
			part := decor.Statistics{AvailableWidth: room, RequestedWidth: room}
			switch {
			case f.Finishing:
				part.Current, part.Total = 1, 1
			case f.Months > 0:
				part.Current, part.Total = f.Merged, f.Months
			case f.FigureDays > 0:
				part.Current, part.Total = f.Counted, f.FigureDays
			default:
				part.Current, part.Total = f.answered, f.answered+max(f.Coming, 1)
			}
			if err := style.Fill(&drawn, part); err != nil {
				return err
			}
			text = drawn.String() + " " + text
		}
		_, err := io.WriteString(w, text)
		return err
	}), mpb.BarFillerTrim(), mpb.BarRemoveOnComplete())
	c.draw(drawn)
	return func() {
		bar.Abort(true)
		drawn.Wait()
		c.draw(nil)
	}
}

// barText returns the text next to the bar, at most so many columns wide. What
// matters least is left out first. planned is false until the run knows how many
// windows it reads: there is no bar to draw before. The last parts of a run count
// figures and merge days.
func barText(f reading, compares bool, columns int) (planned bool, text string) {
	type part struct {
		text string
		rank int // the highest is left out first
	}
	var parts []part
	add := func(rank int, format string, args ...any) {
		parts = append(parts, part{fmt.Sprintf(format, args...), rank})
	}
	switch {
	case f.Finishing:
		planned = true
		add(0, "making statistics")
	case f.Months > 0:
		planned = true
		add(0, "days of %s/%s months merged", brief(f.Merged), brief(f.Months))
	case f.FigureDays > 0:
		planned = true
		add(0, "figures of %s/%s days", brief(f.Counted), brief(f.FigureDays))
	case compares && f.Done == 0:
		add(0, "%s windows compared", brief(f.Compared))
		add(2, "%d differ", f.Differ)
	case f.Windows == 0:
		add(0, "looking for what is due")
	default:
		planned = true
		add(0, "%s/%s windows", brief(f.Done), brief(f.Windows))
		add(3, "%s records", brief(f.Records()))
		add(4, "%s/s", brief(int64(f.rate)))
	}
	add(5, "%s calls", brief(f.calls))
	if f.throttled {
		add(1, "throttled")
	}
	if f.left > 0 && f.Windows+f.Compared > 0 {
		add(2, "%s", f.leftText())
	}
	most := 5
	for ; most > 0; most-- {
		width := -len(", ")
		for _, p := range parts {
			if p.rank <= most {
				width += len(", ") + Width(p.text)
			}
		}
		if width <= columns {
			break
		}
	}
	var said []string
	for _, p := range parts {
		if p.rank <= most {
			said = append(said, p.text)
		}
	}
	return planned, cells.Truncate(strings.Join(said, ", "), columns, "")
}
