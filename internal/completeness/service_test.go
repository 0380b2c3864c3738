package completeness

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
)

// The range of a history: a few windows around midnight, at the end of a month.
var (
	rangeFrom = time.Date(2026, 3, 31, 21, 0, 0, 0, time.UTC)
	rangeTo   = rangeFrom.Add(6 * time.Hour)
)

// A record is one invocation as the service has it now.
type record struct {
	id      string
	status  string
	code    int
	created time.Time
	start   time.Time // zero while waiting
	end     time.Time // zero until settled
	settles time.Time // when it will, for those in flight
	changed bool      // after it had settled
}

func (r *record) inFlight() bool { return archive.InFlight(r.status) }

// A service is one function's records and how it reads a query.
type service struct {
	random   *rand.Rand
	reading  reading
	records  []*record
	vanished map[string]bool
	ids      int
}

func newService(random *rand.Rand, reading reading) *service {
	s := &service{random: random, reading: reading, vanished: make(map[string]bool)}
	for range random.IntN(40) {
		s.arrive()
	}
	return s
}

// second draws a second of the range, often the first or the last of a window.
func (s *service) second() time.Time {
	hour := rangeFrom.Add(time.Duration(s.random.IntN(6)) * time.Hour)
	switch s.random.IntN(4) {
	case 0:
		return hour
	case 1:
		return hour.Add(time.Hour - time.Second)
	default:
		return hour.Add(time.Duration(s.random.IntN(3600)) * time.Second)
	}
}

// arrive adds a record: settled, or in flight if the history has records in flight.
func (s *service) arrive() {
	s.ids++
	r := &record{id: fmt.Sprintf("%08x-%d", s.random.Uint32(), s.ids), created: s.second(), status: archive.StatusSuccess}
	r.start = r.created
	if s.reading.filter == byCreation {
		r.start = r.created.Add(time.Duration(s.random.IntN(5000)) * time.Second)
	}
	r.end = r.start.Add(time.Duration(s.random.IntN(100)) * time.Second)
	if s.random.IntN(5) == 0 {
		r.status, r.code = archive.StatusFail, 4101
	}
	if s.reading.inFlight && s.random.IntN(4) == 0 {
		r.settles = rangeTo.Add(time.Duration(s.random.IntN(60*3600)) * time.Second)
		r.status, r.end, r.code = archive.StatusRunning, time.Time{}, 0
		if s.random.IntN(2) == 0 {
			r.status, r.start = archive.StatusWait, time.Time{}
		}
	}
	s.records = append(s.records, r)
}

// settle ends the records in flight whose time has come.
func (s *service) settle(now time.Time) {
	for _, r := range s.records {
		if r.inFlight() && !now.Before(r.settles) {
			r.status, r.end = archive.StatusSuccess, r.settles
			if r.start.IsZero() || s.random.IntN(2) == 0 {
				// It starts late: within the hour, over midnight, over the month.
				r.start = r.created.Add(time.Duration(s.random.IntN(20*3600)) * time.Second)
			}
		}
	}
}

// event makes one change of the history's kind, between two pages.
func (s *service) event() {
	if len(s.records) == 0 {
		return
	}
	i := s.random.IntN(len(s.records))
	r := s.records[i]
	switch s.reading.drift {
	case arriving:
		s.arrive()
	case vanishing:
		s.vanished[r.id] = true
		s.records = slices.Delete(s.records, i, i+1)
	case moving:
		if !r.inFlight() {
			// A failed request was retried: another start, another status.
			r.start = s.second()
			r.end, r.status, r.code, r.changed = r.start, archive.StatusSuccess, 0, true
			if s.reading.filter == byCreation {
				r.created = r.start
			}
		}
	case still:
	}
}

// filed returns the time by which the service filters the record.
func (s *service) filed(r *record) time.Time {
	if s.reading.filter == byCreation || r.start.IsZero() {
		return r.created
	}
	return r.start
}

// list returns the records that the service finds for a query, in its order.
func (s *service) list(from, to time.Time, id string) []*record {
	var found []*record
	for _, r := range s.records {
		at := s.filed(r)
		after, before := !at.Before(from), !at.After(to)
		if s.reading.leftOpen {
			after = at.After(from)
		}
		if s.reading.rightOpen {
			before = at.Before(to)
		}
		if after && before && (id == "" || id == r.id) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *record) int {
		switch s.reading.order {
		case oldestFirst:
			return strings.Compare(s.filed(a).Format(time.RFC3339)+a.id, s.filed(b).Format(time.RFC3339)+b.id)
		case byID:
			return strings.Compare(a.id, b.id)
		default:
			return -strings.Compare(s.filed(a).Format(time.RFC3339)+a.id, s.filed(b).Format(time.RFC3339)+b.id)
		}
	})
	return found
}
