package simulate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// toggle is one switch of the faults.
type toggle struct {
	name  string
	short string // what stands for its value in a list, if it takes one
	value string // what it may be
	alone string // the value it has without one; empty where it needs one
	help  string
	set   func(f *Faults, value string) error
}

// usage is the switch as it stands in a list.
func (t toggle) usage() string {
	if t.short == "" {
		return t.name
	}
	return t.name + "=" + t.short
}

// toggles are all switches, in the order in which they are listed.
var toggles = slices.Concat(readings, shapes, damages, drifts, changes, troubles)

// readings are how the source understands a question.
var readings = []toggle{
	words("borders", "which borders of the time range belong to it", func(f *Faults) *string { return &f.borders },
		"both", "none", "left-open", "right-open"),
	words("filter", "the time that the range is compared with; creation is up to 10 minutes before the start", func(f *Faults) *string { return &f.filter },
		"start", "end", "creation"),
	words("order", "the order of records; none is mixed up, but always the same", func(f *Faults) *string { return &f.order },
		"newest", "oldest", "none"),
	whole("cap", "most records of a page, whatever the limit", 1, func(f *Faults) *int { return &f.limitCap }),
}

// shapes are how the source writes an answer.
var shapes = []toggle{
	words("marker", "next_marker: an integer that the last page leaves out, a string, never there, on the last page 0, the total, or the one asked for, null on the last page", func(f *Faults) *string { return &f.marker },
		"int", "string", "absent", "zero", "total", "same", "null", "mixed"),
	words("count", "count: of all records, left out, null, or the page's own length", func(f *Faults) *string { return &f.count },
		"total", "absent", "null", "page", "mixed"),
	{name: "null-list", alone: "yes", value: "yes", help: `"invocations": null in place of an empty list`, set: func(f *Faults, value string) error {
		if value != "yes" {
			return errors.New("it takes no value but yes")
		}
		f.nullList = true
		return nil
	}},
	words("code", `error_code: an integer, a string, a string that is empty for 0, or left out for 0`, func(f *Faults) *string { return &f.code },
		"int", "string", "empty", "absent", "mixed"),
	words("times", "times: as on the page, with a Z, an offset, or a fraction of a second", func(f *Faults) *string { return &f.times },
		"plain", "z", "offset", "fraction", "mixed"),
	shareOf("extra", "records with fields that no page names", func(f *Faults) *float64 { return &f.extra }),
	{name: "mix", alone: "yes", value: "yes", help: "marker, count, code and times mixed, by answer and by record, and extra=0.3", set: func(f *Faults, value string) error {
		if value != "yes" {
			return errors.New("it takes no value but yes")
		}
		f.marker, f.count, f.code, f.times, f.extra = "mixed", "mixed", "mixed", "mixed", 0.3
		return nil
	}},
}

// damages are what records, and pages of them, are like.
var damages = []toggle{
	shareOf("unusable", "records that no row can hold, in turn: request_id absent, empty, too long, a number; an impossible start; not an object", func(f *Faults) *float64 { return &f.rejected }),
	shareOf("nul", "records with NUL characters and half surrogate pairs in the message", func(f *Faults) *float64 { return &f.nul }),
	shareOf("huge", "records with a message of a megabyte", func(f *Faults) *float64 { return &f.huge }),
	shareOf("reversed", "records that end before they start", func(f *Faults) *float64 { return &f.reversed }),
	shareOf("statuses", "records with a status that no page names", func(f *Faults) *float64 { return &f.statuses }),
	shareOf("twice", "records that stand twice in the list, and are counted twice", func(f *Faults) *float64 { return &f.twice }),
	shareOf("repeat", "pages that begin with the last record of the page before; next_marker allows for it", func(f *Faults) *float64 { return &f.repeat }),
}

// drifts are what happens to a list while it is walked.
var drifts = []toggle{
	rateOf("arrive", "records that arrive between two pages of a walk", func(f *Faults) []*float64 { return []*float64{&f.arrive} }),
	rateOf("vanish", "records that disappear between two pages", func(f *Faults) []*float64 { return []*float64{&f.vanish} }),
	rateOf("rise", "records that move up in the list, past the page asked for, by another start", func(f *Faults) []*float64 { return []*float64{&f.rise} }),
	rateOf("sink", "records that move down in the list, past the page asked for, by another start", func(f *Faults) []*float64 { return []*float64{&f.sink} }),
	rateOf("drift", "arrive, vanish, rise and sink", func(f *Faults) []*float64 {
		return []*float64{&f.arrive, &f.vanish, &f.rise, &f.sink}
	}),
	whole("drift-calls", "the pages of a function after which it calms down (default 12)", 0, func(f *Faults) *int { return &f.driftCalls }),
}

// changes are what happens as the clock goes on.
var changes = []toggle{
	duration("late", "records show up so long after their start, or the server's", func(f *Faults) *time.Duration { return &f.late }),
	shareOf("late-share", "of the records that are late (default all)", func(f *Faults) *float64 { return &f.lateShare }),
	shareOf("inflight", "records that wait first, without a start, then run, then settle, from the server's start on", func(f *Faults) *float64 { return &f.inFlight }),
	shareOf("retried", "of the failed records, those that succeed later, with another start", func(f *Faults) *float64 { return &f.retry }),
	duration("stage", "how long, at most, a record waits, runs, or rests before it is retried (default 1m)", func(f *Faults) *time.Duration { return &f.stage }),
	words("move", "how far the start of these moves: within the day, over midnight, over the end of the month", func(f *Faults) *string { return &f.move },
		"mixed", "none", "day", "midnight", "month"),
	shareOf("log-off", "functions whose enable_async_status_log is off, at least one: none of their records is listed", func(f *Faults) *float64 { return &f.logOff }),
	duration("log-off-after", "how long after the server's start it was switched off; what started before is listed (default: it was never on)", func(f *Faults) *time.Duration { return &f.logOffAfter }),
	duration("settings-change", "how often the asynchronous settings of all functions change", func(f *Faults) *time.Duration { return &f.settingsChange }),
}

// troubles are what becomes of calls, and of whole functions.
var troubles = slices.Concat(disturbed(), []toggle{
	numberOf("trouble", "calls that meet any of these, in equal parts", "SHARE", "0.1", func(f *Faults, v float64) error {
		if v > 1 {
			return errShare
		}
		for i := range f.disturb {
			f.disturb[i] = v / float64(len(f.disturb))
		}
		return nil
	}),
	whole("retry-after", "seconds in the Retry-After of 429 (default 1)", 0, func(f *Faults) *int { return &f.retryAfter }),
	whole("deny", "the call from which on all are refused with 403", 1, func(f *Faults) *int { return &f.deny }),
	shareOf("gone", "functions that answer 404, at least one", func(f *Faults) *float64 { return &f.gone }),
	duration("gone-after", "how long after the server's start they do (default at once)", func(f *Faults) *time.Duration { return &f.goneAfter }),
	shareOf("broken", "functions that always answer 500, at least one", func(f *Faults) *float64 { return &f.broken }),
	words("versions", "versions of each function and what each answers for: there is the latest alone, or of three each its own records, all of them the whole function's, or the latest the whole's and the others their own", func(f *Faults) *string { return &f.versioned },
		"one", "own", "whole", "latest"),
	{name: "seed", short: "N", value: "a whole number", help: "draw from this number in place of the data's own seed", set: func(f *Faults, value string) (err error) {
		f.seeded = true
		if f.seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			return errors.New("it is not a whole number from 0 on")
		}
		return nil
	}},
})

// disturbed is a switch for each of the disturbances.
func disturbed() (list []toggle) {
	for i, d := range disturbances {
		list = append(list, shareOf(d.name, "calls: "+d.help, func(f *Faults) *float64 { return &f.disturb[i] }))
	}
	return list
}

// words is a switch that has one of some values, the first of which is the
// default.
func words(name, help string, field func(*Faults) *string, values ...string) toggle {
	list := strings.Join(values, "|")
	return toggle{name: name, short: "WORD", value: list, help: help + " [" + list + "]", set: func(f *Faults, value string) error {
		if !slices.Contains(values, value) {
			return suggest(value, values)
		}
		*field(f) = value
		return nil
	}}
}

var errShare = errors.New("it is not a number from 0 to 1")

func shareOf(name, help string, field func(*Faults) *float64) toggle {
	return numberOf(name, help, "SHARE", "0.1", func(f *Faults, v float64) error {
		if v > 1 {
			return errShare
		}
		*field(f) = v
		return nil
	})
}

func rateOf(name, help string, fields func(*Faults) []*float64) toggle {
	return numberOf(name, help, "RATE", "1", func(f *Faults, v float64) error {
		// As many as a page can have; more would make every call a long one.
		if v > maxLimit {
			return fmt.Errorf("it is more than %d", maxLimit)
		}
		for _, field := range fields(f) {
			*field = v
		}
		return nil
	})
}

func numberOf(name, help, short, alone string, set func(*Faults, float64) error) toggle {
	return toggle{name: name, short: short, value: short, alone: alone, help: help, set: func(f *Faults, value string) error {
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("it is not a number from 0 on")
		}
		return set(f, v)
	}}
}

func whole(name, help string, least int, field func(*Faults) *int) toggle {
	return toggle{name: name, short: "N", value: "a whole number", help: help, set: func(f *Faults, value string) error {
		v, err := strconv.Atoi(value)
		if err != nil || v < least {
			return fmt.Errorf("it is not a whole number from %d on", least)
		}
		*field(f) = v
		return nil
	}}
}

func duration(name, help string, field func(*Faults) *time.Duration) toggle {
	return toggle{name: name, short: "DURATION", value: "a duration such as 90s or 10m", help: help, set: func(f *Faults, value string) error {
		v, err := time.ParseDuration(value)
		if err != nil || v < 0 {
			return errors.New("it is not a duration such as 90s or 10m")
		}
		*field(f) = v
		return nil
	}}
}
