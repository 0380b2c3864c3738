package functiongraph

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/extract/answer"
)

// parseTime reads a time. The API documents YYYY-MM-DDTHH:mm:ss (page: Querying
// Asynchronous Invocation Requests), which is read as UTC. parseTime also accepts
// a zone, an offset, a fraction of a second of any length, lower case, and a
// space in place of the T, as RFC 3339 allows. Digits beyond a nanosecond are
// dropped. As in ISO 8601, hour 24 is the next midnight, and second 60 the leap
// second.
//
// null and "" mean no time, and so does the first second of year 1, the zero
// time of several languages: t is zero and ok is true. For a value that is not a
// valid time in the years 1 to 9999 UTC, t is zero and ok is false.
func parseTime(value jsontext.Value) (t time.Time, ok bool) {
	if value.Kind() == 'n' {
		return time.Time{}, true
	}
	if value.Kind() != '"' {
		return time.Time{}, false
	}
	var buffer [64]byte
	s := scanner{rest: answer.Unquote(buffer[:0], value)}
	if len(s.rest) == 0 {
		return time.Time{}, true
	}
	year := s.number(4)
	s.oneOf("-")
	month := s.number(2)
	s.oneOf("-")
	day := s.number(2)
	s.oneOf("Tt ")
	hour := s.number(2)
	s.oneOf(":")
	minute := s.number(2)
	s.oneOf(":")
	second := s.number(2)
	nanosecond := s.fraction()
	offset := s.zone()
	if s.wrong || len(s.rest) > 0 {
		return time.Time{}, false
	}

	midnight := hour == 24 && minute == 0 && second == 0 && nanosecond == 0
	leap := second == 60 && minute == 59
	if hour > 23 && !midnight || minute > 59 || second > 59 && !leap {
		return time.Time{}, false
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Month() != time.Month(month) || date.Day() != day {
		return time.Time{}, false // time.Date normalized a date that does not exist
	}
	local := date.Add(time.Duration(hour*3600+minute*60+second)*time.Second + time.Duration(nanosecond))
	if local.IsZero() {
		return time.Time{}, true
	}
	t = local.Add(-offset)
	if t.IsZero() {
		return time.Time{}, true
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// A scanner reads a time text from its beginning. After the first error, wrong
// stays true.
type scanner struct {
	rest  []byte
	wrong bool
}

// oneOf reads one of the characters in chars.
func (s *scanner) oneOf(chars string) {
	if !s.wrong && len(s.rest) > 0 {
		for i := range len(chars) {
			if s.rest[0] == chars[i] {
				s.rest = s.rest[1:]
				return
			}
		}
	}
	s.wrong = true
}

// number reads exactly that many digits.
func (s *scanner) number(digits int) (n int) {
	if s.wrong || len(s.rest) < digits {
		s.wrong = true
		return 0
	}
	for _, c := range s.rest[:digits] {
		if c < '0' || c > '9' {
			s.wrong = true
			return 0
		}
		n = n*10 + int(c-'0')
	}
	s.rest = s.rest[digits:]
	return n
}

// peek returns the next character, or 0 at the end.
func (s *scanner) peek() byte {
	if s.wrong || len(s.rest) == 0 {
		return 0
	}
	return s.rest[0]
}

// fraction reads a fraction of a second, if there is one, in nanoseconds.
func (s *scanner) fraction() (nanoseconds int) {
	if c := s.peek(); c != '.' && c != ',' {
		return 0
	}
	s.rest = s.rest[1:]
	unit := 100_000_000
	n := s.number(1)
	for {
		nanoseconds += n * unit
		unit /= 10
		if c := s.peek(); c < '0' || c > '9' {
			return nanoseconds
		}
		n = s.number(1)
	}
}

// zone reads a zone, if there is one: Z, or an offset such as +08, +0800 or
// +08:00.
func (s *scanner) zone() (offset time.Duration) {
	sign := time.Duration(1)
	switch s.peek() {
	case 0:
		return 0
	case 'Z', 'z':
		s.rest = s.rest[1:]
		return 0
	case '+':
	case '-':
		sign = -1
	default:
		s.wrong = true
		return 0
	}
	s.rest = s.rest[1:]
	hours, minutes := s.number(2), 0
	if s.peek() == ':' {
		s.rest = s.rest[1:]
		minutes = s.number(2)
	} else if s.peek() != 0 {
		minutes = s.number(2)
	}
	if hours > 23 || minutes > 59 {
		s.wrong = true
	}
	return sign * (time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
}
