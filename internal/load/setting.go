package load

import (
	"time"

	"archiver/internal/archive"
)

// A lastSetting is the newest row of a version.
type lastSetting struct {
	ID   int64
	URN  string
	From time.Time
	To   *time.Time // nil if it holds now
	Same bool       // the setting that came is equal
}

// settingsChanged are the rows that an answer changes.
type settingsChanged struct {
	closed []closedSetting
	opened []openedSetting
}

type closedSetting struct {
	id int64
	to time.Time
}

type openedSetting struct {
	archive.Setting
	from time.Time
}

// tick is the shortest time that a row holds: PostgreSQL keeps microseconds.
const tick = time.Microsecond

// settingChanges compares the settings that came with the newest rows. A row that
// holds and came again stays. If the setting differs, its row is closed and the next
// one opened. If all settings came (Whole), rows of versions that did not come are
// closed.
func settingChanges(last []lastSetting, s archive.FunctionSettings, at time.Time) (c settingsChanged) {
	at = at.Truncate(tick)
	newest := make(map[string]lastSetting, len(last))
	for _, row := range last {
		newest[row.URN] = row
	}
	for _, setting := range s.Settings {
		setting.Created, setting.Modified = setting.Created.Truncate(tick), setting.Modified.Truncate(tick)
		row, known := newest[setting.URN]
		delete(newest, setting.URN)
		var least time.Time // the next row cannot begin earlier
		switch {
		case !known:
		case row.To != nil:
			least = *row.To
		case row.Same:
			continue
		default:
			least = row.From.Add(tick)
		}
		from := setting.Modified
		if from.IsZero() || from.Before(least) || from.After(at) {
			from = laterOf(at, least)
		}
		if known && row.To == nil {
			c.closed = append(c.closed, closedSetting{row.ID, from})
		}
		c.opened = append(c.opened, openedSetting{setting, from})
	}
	if s.Whole {
		for _, row := range newest {
			if row.To == nil {
				c.closed = append(c.closed, closedSetting{row.ID, laterOf(at, row.From.Add(tick))})
			}
		}
	}
	return c
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
