package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// number formats n with thousands separators.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// compactNumber formats v with few digits, for an axis.
func compactNumber(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return strconv.FormatFloat(math.Round(v/unit.size*100)/100, 'f', -1, 64) + unit.name
		}
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// plural formats a number of things.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// minuteText formats a time to the minute, in UTC.
func minuteText(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") }

// durationText formats a duration in words.
func durationText(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(math.Round(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(math.Round(d.Minutes())))
	case d < 2*day:
		return fmt.Sprintf("%d hours", int(math.Round(d.Hours())))
	default:
		return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
	}
}

// ago formats how long ago t was.
func ago(t, now time.Time) string {
	if d := now.Sub(t); d >= time.Second {
		return durationText(d) + " ago"
	}
	return "just now"
}
