package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseDuration reads Go's durations, and days such as 400d.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok && err != nil {
		n, dayErr := strconv.Atoi(days)
		d, err = time.Duration(n)*24*time.Hour, dayErr
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 90s, 10m, 6h or 30d", s)
	}
	return d, nil
}

// DurationText writes a duration as one gives it in a flag: in days if it is a
// number of days, and without units of zero.
func DurationText(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// An Hour is a flag that names a whole UTC hour.
type Hour struct{ time.Time }

// UnmarshalText reads an hour. The error of a time that is not a whole hour names
// the two nearest hours.
func (h *Hour) UnmarshalText(text []byte) (err error) {
	if h.Time, err = ParseTime(string(text)); err != nil {
		return err
	}
	if before := h.Truncate(time.Hour); !before.Equal(h.Time) {
		return fmt.Errorf("%s is not a whole hour: use %s or %s", text,
			before.Format(time.RFC3339), before.Add(time.Hour).Format(time.RFC3339))
	}
	return nil
}

var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

// ParseTime reads a time or a date. A time without a zone is UTC, and so is the
// result.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-20 or 2026-11-20T15:00:00Z", text)
}
