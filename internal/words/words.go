// Package words formats numbers and times for people, in English and UTC.
package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Number formats n with thousands separators.
func Number(n int64) string {
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

// Plural formats a number of things.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Minute formats a time to the minute, in UTC.
func Minute(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") }

// Duration formats a duration in words.
func Duration(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(math.Round(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(math.Round(d.Minutes())))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(math.Round(d.Hours())))
	default:
		return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
	}
}

// Ago formats how long ago t was.
func Ago(t, now time.Time) string {
	if d := now.Sub(t); d >= time.Second {
		return Duration(d) + " ago"
	}
	return "just now"
}

// Bytes writes a size in the largest unit of which it has one, as in 1.5 GB.
func Bytes(n int64) string {
	size, units := float64(n), []string{"bytes", "kB", "MB", "GB", "TB"}
	for size >= 1000 && len(units) > 1 {
		size, units = size/1000, units[1:]
	}
	if size >= 100 || units[0] == "bytes" {
		return fmt.Sprintf("%.0f %s", size, units[0])
	}
	return fmt.Sprintf("%.1f %s", size, units[0])
}
