package loop

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"archiver/internal/archive"
)

const (
	opSettingsAsked = "settings asked"
	opKeepSettings  = "keep settings"
)

func (db *database) settingsDue(id int32, at time.Time) bool {
	if int(id) > len(db.functions) {
		return false // a standby does not know the function
	}
	return at.Sub(db.functions[id-1].settingsAsked).Abs() >= archive.SettingsEvery
}

func (c *fakeClaim) SettingsAsked(ctx context.Context) (asked time.Time, err error) {
	err = c.fenced(ctx, opSettingsAsked, func() error {
		asked = c.store.functions[c.function.ID-1].settingsAsked
		return nil
	})
	return asked, err
}

func (c *fakeClaim) KeepSettings(ctx context.Context, s archive.FunctionSettings, at time.Time) error {
	return c.fenced(ctx, opKeepSettings, func() error {
		f := c.store.functions[c.function.ID-1]
		f.settingsAsked = at
		f.settings = append(f.settings, s)
		return nil
	})
}

// kept are the settings that were kept of a function, oldest first.
func (db *database) kept(urn string) []archive.FunctionSettings {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, f := range db.functions {
		if f.URN == urn {
			return slices.Clone(f.settings)
		}
	}
	return nil
}

// A settingsSource is a fakeSource that tells settings, the same pages of each
// function.
type settingsSource struct {
	*fakeSource
	pages []archive.SettingsPage
	err   error // after the pages

	mu    sync.Mutex
	asked []string // URNs
}

func (s *settingsSource) Settings(_ context.Context, f archive.Function) iter.Seq2[archive.SettingsPage, error] {
	return func(yield func(archive.SettingsPage, error) bool) {
		s.mu.Lock()
		s.asked = append(s.asked, f.URN)
		s.mu.Unlock()
		for _, page := range s.pages {
			if !yield(page, nil) {
				return
			}
		}
		if s.err != nil {
			yield(archive.SettingsPage{}, s.err)
		}
	}
}

// times is how often settings were asked for since the last look.
func (s *settingsSource) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.asked)
	s.asked = nil
	return n
}
