package completeness

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
)

// rangeTo is the end of the hours that the first run of a history reads. It lies near
// midnight, at the end of a month.
var rangeTo = time.Date(2026, 4, 1, 3, 0, 0, 0, time.UTC)

// maxSize is the size of the largest record, in kilobytes.
const maxSize = 8

// A record is one invocation as the service has it now.
type record struct {
	id       string
	status   string
	code     int
	created  time.Time
	start    time.Time // zero while waiting
	end      time.Time // zero until settled
	settles  time.Time // when it will, for those in flight
	changed  bool      // after it had settled
	size     int       // in kilobytes
	poisoned bool      // a page that has it fails
	first    time.Time // where the service filed it at first
	late     bool      // it came to its hour after the first call
	unread   bool      // the archive had not read it when it was in flight at last
}

func (r *record) inFlight() bool { return archive.InFlight(r.status) }

// A service is the functions of one project, and how it reads a query.
type service struct {
	reading   reading
	limits    limits
	from      time.Time // of the history
	functions []*function
}

// A function is the records of one function.
type function struct {
	*service
	name, urn string
	random    *rand.Rand
	records   []*record
	vanished  map[string]bool
	ids       int
	burst     archive.Span // in which half of the records are; empty for none
	poisoned  []time.Time  // seconds that no question may cover
	denial    denial
}

func newService(seed uint64) *service {
	random := rand.New(rand.NewPCG(seed, 1))
	s := &service{reading: draw(random)}
	s.limits = drawLimits(random, &s.reading)
	s.from = rangeTo.Add(-s.limits.length)
	for i := range s.limits.functions {
		f := &function{service: s, name: fmt.Sprint("f", i), random: rand.New(rand.NewPCG(seed, 10+uint64(i))), vanished: make(map[string]bool)}
		f.urn = "urn:fss:eu:p:function:default:" + f.name + ":latest"
		f.fill()
		if i > 0 && random.IntN(3) == 0 {
			f.denial = drawDenial(random)
		}
		s.functions = append(s.functions, f)
	}
	return s
}

// fill makes the records that the function has before the first run.
func (f *function) fill() {
	if f.limits.records > 40 && f.random.IntN(2) == 0 {
		f.burst.From = f.second()
		f.burst.To = f.burst.From.Add([]time.Duration{time.Second, time.Minute, 10 * time.Minute, archive.Hour}[f.random.IntN(4)])
	}
	for range f.random.IntN(f.limits.records) {
		f.arrive()
	}
	for range f.limits.poisonSeconds {
		f.poisoned = append(f.poisoned, f.second())
	}
	if n := len(f.records); n > 0 {
		for range f.limits.poisonRecords {
			f.records[f.random.IntN(n)].poisoned = true
		}
	}
}

// second draws a second of the history, often the first or the last of a window.
func (f *function) second() time.Time {
	if f.burst.From.Before(f.burst.To) && f.random.IntN(2) == 0 {
		return f.burst.From.Add(time.Duration(f.random.IntN(int(f.burst.To.Sub(f.burst.From)/time.Second))) * time.Second)
	}
	hour := f.from.Add(time.Duration(f.random.IntN(int(f.limits.length/archive.Hour))) * archive.Hour)
	often := 4
	if f.limits.records > 40 {
		often = 20 // so that few seconds have as many records as a page
	}
	switch f.random.IntN(often) {
	case 0:
		return hour
	case 1:
		return hour.Add(archive.Hour - time.Second)
	default:
		return hour.Add(time.Duration(f.random.IntN(3600)) * time.Second)
	}
}

// arrive adds a record: settled, or in flight if the history has records in flight.
func (f *function) arrive() {
	f.ids++
	r := &record{
		id:      fmt.Sprintf("%s-%08x-%d", f.name, f.random.Uint32(), f.ids),
		created: f.second(), status: archive.StatusSuccess, size: 1 + f.random.IntN(maxSize),
	}
	r.start = r.created
	if f.reading.filter == byCreation {
		r.start = r.created.Add(time.Duration(f.random.IntN(5000)) * time.Second)
	}
	r.end = r.start.Add(time.Duration(f.random.IntN(100)) * time.Second)
	if f.random.IntN(5) == 0 {
		r.status, r.code = archive.StatusFail, 4101
	}
	oldest := rangeTo.Add(-6 * time.Hour) // a record is in flight for at most archive.MaxLife
	if f.reading.inFlight && !r.created.Before(oldest) && f.random.IntN(4) == 0 {
		r.settles = rangeTo.Add(time.Duration(f.random.IntN(60*3600)) * time.Second)
		r.status, r.end, r.code = archive.StatusRunning, time.Time{}, 0
		if f.random.IntN(2) == 0 {
			r.status, r.start = archive.StatusWait, time.Time{}
		}
	}
	r.first = f.filed(r)
	f.records = append(f.records, r)
}

// settle ends the records in flight whose time has come.
func (f *function) settle(now time.Time) {
	for _, r := range f.records {
		if r.inFlight() && !now.Before(r.settles) && !f.forgot(r, now) {
			r.status, r.end = archive.StatusSuccess, r.settles
			if r.start.IsZero() || f.random.IntN(2) == 0 {
				// It starts late: within the hour, over midnight, over the month.
				r.start = r.created.Add(time.Duration(f.random.IntN(20*3600)) * time.Second)
			}
		}
	}
}

// event makes one change of the history's kind, between two pages.
func (f *function) event() {
	if len(f.records) == 0 {
		return
	}
	i := f.random.IntN(len(f.records))
	r := f.records[i]
	switch f.reading.drift {
	case arriving:
		f.arrive()
		r := f.records[len(f.records)-1]
		if r.late = true; f.limits.retention > 0 && r.first.Before(rangeTo.Add(-24*time.Hour)) {
			f.records = f.records[:len(f.records)-1] // it may be forgotten before its hour is compared again
		}
	case vanishing:
		f.vanished[r.id] = true
		f.records = slices.Delete(f.records, i, i+1)
	case moving:
		if !r.inFlight() {
			// A failed request was retried: another start, another status.
			r.start = f.second()
			r.end, r.status, r.code, r.changed, r.late = r.start, archive.StatusSuccess, 0, true, true
			if f.reading.filter == byCreation {
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

// forgot reports whether the service keeps the record no longer.
func (s *service) forgot(r *record, now time.Time) bool {
	return s.limits.retention > 0 && s.filed(r).Before(now.Add(-s.limits.retention))
}

// covers reports whether a query of [from, to] asks for records of this time.
func (s *service) covers(from, to, at time.Time) bool {
	after, before := !at.Before(from), !at.After(to)
	if s.reading.leftOpen {
		after = at.After(from)
	}
	if s.reading.rightOpen {
		before = at.Before(to)
	}
	return after && before
}

// list returns the records that the service finds for a query, in its order.
func (f *function) list(from, to time.Time, id string, now time.Time) []*record {
	var found []*record
	for _, r := range f.records {
		if f.covers(from, to, f.filed(r)) && !f.forgot(r, now) && (id == "" || id == r.id) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *record) int {
		switch f.reading.order {
		case oldestFirst:
			return strings.Compare(f.filed(a).Format(time.RFC3339)+a.id, f.filed(b).Format(time.RFC3339)+b.id)
		case byID:
			return strings.Compare(a.id, b.id)
		default:
			return -strings.Compare(f.filed(a).Format(time.RFC3339)+a.id, f.filed(b).Format(time.RFC3339)+b.id)
		}
	})
	return found
}

// ceiling returns how many records the function's lists have at most; 0 for any number.
func (f *function) ceiling() int {
	if f.limits.alone && f != f.functions[0] {
		return 0
	}
	return f.limits.ceiling
}
