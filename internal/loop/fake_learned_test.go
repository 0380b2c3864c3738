package loop

import (
	"context"
	"maps"
	"slices"
	"time"

	"archiver/internal/archive"
)

func (s *fakeStore) Learned(context.Context, archive.SourceID, time.Time) ([]archive.Learned, error) {
	s.database.mu.Lock()
	defer s.database.mu.Unlock()
	return slices.Clone(s.learned), nil
}

func (s *fakeStore) Learn(_ context.Context, _ archive.SourceID, learned []archive.Learned) error {
	s.database.mu.Lock()
	defer s.database.mu.Unlock()
	for _, l := range learned {
		s.learned = slices.DeleteFunc(s.learned, func(o archive.Learned) bool {
			return o.What == l.What && o.Function == l.Function && (l.What != archive.LearnedCount || o.Value == l.Value)
		})
		s.learned = append(s.learned, l)
	}
	return nil
}

func (s *fakeStore) Prove(_ context.Context, _ archive.SourceID, age time.Duration) (n int, err error) {
	s.database.mu.Lock()
	defer s.database.mu.Unlock()
	older := false // a window that stays unproven
	for _, windows := range s.windows {
		for hour, w := range windows {
			older = older || w.expired.Unproven && s.clock.Now().Sub(hour) > age+archive.Hour
		}
	}
	for _, windows := range s.windows {
		for hour, w := range windows {
			began := s.clock.Now().Sub(hour)
			if w.expired.Unproven && (began <= age || began <= age+archive.Hour && !older) {
				w.state, w.expired = archive.StateComplete, archive.Expired{}
				windows[hour] = w
				n++
			}
		}
	}
	return n, nil
}

func (s *fakeStore) EndList(_ context.Context, _ archive.SourceID, e *archive.ListError, at time.Time) error {
	s.database.mu.Lock()
	defer s.database.mu.Unlock()
	s.list = e
	for _, f := range s.functions {
		if e == nil && f.lastSeen.Before(at) && f.Missing.IsZero() {
			f.Missing = at
		}
	}
	return nil
}

func (s *fakeStore) ResetFuture(_ context.Context, _ archive.SourceID, now time.Time, _ time.Duration) error {
	s.database.mu.Lock()
	defer s.database.mu.Unlock()
	for _, windows := range s.windows {
		maps.DeleteFunc(windows, func(hour time.Time, _ windowRow) bool { return hour.Add(archive.Hour).After(now) })
	}
	return nil
}
