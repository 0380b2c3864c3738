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

// toggle is one switch of Faults.
type toggle struct {
	name  string
	short string // the value's placeholder in the help; empty if it takes none
	value string // the allowed values, for errors
	alone string // the value of NAME without =VALUE; empty if a value is required
	help  string
	set   func(f *Faults, value string) error
}

func (t toggle) usage() string {
	if t.short == "" {
		return t.name
	}
	return t.name + "=" + t.short
}

// toggles are all switches, in the order of the help.
var toggles = slices.Concat(readings, limited, shapes, spelling, damages, drifts, changes, troubles, gateway, envelope)

// readings are how the source reads a query.
var readings = []toggle{
	words("borders", "which borders of the time range are included", func(f *Faults) *string { return &f.borders },
		"both", "none", "left-open", "right-open"),
	words("filter", "the time of a record that is compared with the range; creation is up to 10 minutes before the start", func(f *Faults) *string { return &f.filter },
		"start", "end", "creation"),
	words("order", "the order of records; none is shuffled, but always the same", func(f *Faults) *string { return &f.order },
		"newest", "oldest", "none"),
	whole("cap", "the most records of a page, even if the limit is higher", 1, func(f *Faults) *int { return &f.limitCap }),
}

// shapes are how the source writes an answer.
var shapes = []toggle{
	words("marker", "next_marker: int, string (both missing on the last page), absent (always missing); or an int that on the last page is zero, the total, the same as asked for, or null", func(f *Faults) *string { return &f.marker },
		"int", "string", "absent", "zero", "total", "same", "null", "mixed"),
	words("count", "count: the number of all records, absent, null, or the number of records of the page", func(f *Faults) *string { return &f.count },
		"total", "absent", "null", "page", "mixed"),
	onOff("null-list", `"invocations": null instead of an empty list`, func(f *Faults) { f.nullList = true }),
	words("code", `error_code: an integer, a string, a string that is empty for 0, or an integer that is absent for 0`, func(f *Faults) *string { return &f.code },
		"int", "string", "empty", "absent", "mixed"),
	words("times", "times: as in the API's pages, with a Z, with an offset, or with a fraction of a second", func(f *Faults) *string { return &f.times },
		"plain", "z", "offset", "fraction", "mixed"),
	shareOf("extra", "records with fields that the API's pages do not name", func(f *Faults) *float64 { return &f.extra }),
	onOff("mix", "marker, count, code and times are mixed, and extra=0.3", func(f *Faults) {
		f.marker, f.count, f.code, f.times, f.extra = "mixed", "mixed", "mixed", "mixed", 0.3
	}),
}

// damages are how records, and pages of them, are damaged.
var damages = []toggle{
	shareOf("unusable", "records that cannot be stored in a row: in turn, a request_id that is absent, empty, too long or a number; an invalid start; not an object", func(f *Faults) *float64 { return &f.rejected }),
	shareOf("nul", "records with NUL characters and half surrogate pairs in the message", func(f *Faults) *float64 { return &f.nul }),
	shareOf("huge", "records with an error message of 1 MiB", func(f *Faults) *float64 { return &f.huge }),
	shareOf("reversed", "records that end before they start", func(f *Faults) *float64 { return &f.reversed }),
	shareOf("statuses", "records with a status that the API's pages do not name", func(f *Faults) *float64 { return &f.statuses }),
	shareOf("twice", "records that are listed twice and counted twice", func(f *Faults) *float64 { return &f.twice }),
	shareOf("repeat", "pages that repeat the last record of the previous page; next_marker takes it into account", func(f *Faults) *float64 { return &f.repeat }),
}

// drifts are what happens to a list during a walk.
var drifts = []toggle{
	rateOf("arrive", "records that arrive between two pages of a walk", func(f *Faults) []*float64 { return []*float64{&f.arrive} }),
	rateOf("vanish", "records that disappear between two pages", func(f *Faults) []*float64 { return []*float64{&f.vanish} }),
	rateOf("rise", "records whose start changes so that they move to an earlier page", func(f *Faults) []*float64 { return []*float64{&f.rise} }),
	rateOf("sink", "records whose start changes so that they move to a later page", func(f *Faults) []*float64 { return []*float64{&f.sink} }),
	rateOf("drift", "arrive, vanish, rise and sink", func(f *Faults) []*float64 {
		return []*float64{&f.arrive, &f.vanish, &f.rise, &f.sink}
	}),
	whole("drift-calls", "how many pages of a function drift (default 12)", 0, func(f *Faults) *int { return &f.driftCalls }),
}

// changes are what happens as the clock advances.
var changes = []toggle{
	duration("late", "records are listed only this long after their start, or after the server's start", func(f *Faults) *time.Duration { return &f.late }),
	shareOf("late-share", "the records that are late (default 1)", func(f *Faults) *float64 { return &f.lateShare }),
	shareOf("inflight", "records that first wait, without a start, then run, then settle, beginning with the server's start", func(f *Faults) *float64 { return &f.inFlight }),
	shareOf("retried", "failed records that succeed later, with another start", func(f *Faults) *float64 { return &f.retry }),
	duration("stage", "the longest time that a record waits, runs, or rests before its retry (default 1m)", func(f *Faults) *time.Duration { return &f.stage }),
	words("move", "how far the start of inflight and retried records moves: within the day, past midnight, past the end of the month", func(f *Faults) *string { return &f.move },
		"mixed", "none", "day", "midnight", "month"),
	shareOf("log-off", "functions with enable_async_status_log off, at least one; their records are not listed", func(f *Faults) *float64 { return &f.logOff }),
	duration("log-off-after", "how long after the server's start log-off begins; earlier records are listed (default: it was never on)", func(f *Faults) *time.Duration { return &f.logOffAfter }),
	duration("settings-change", "how often the asynchronous settings of all functions change", func(f *Faults) *time.Duration { return &f.settingsChange }),
}

// troubles are what happens to calls and to whole functions.
var troubles = slices.Concat(disturbed(), []toggle{
	numberOf("trouble", "calls that are disturbed by any of these, in equal parts", "SHARE", "0.1", func(f *Faults, v float64) error {
		if v > 1 {
			return errShare
		}
		for i := range f.disturb {
			f.disturb[i] = v / float64(len(f.disturb))
		}
		return nil
	}),
	whole("retry-after", "seconds in the Retry-After of 429 (default 1)", 0, func(f *Faults) *int { return &f.retryAfter }),
	{name: "date", short: "DURATION", value: durationValue + ", or less than nothing such as -2h", help: "how far the Date of each answer is ahead of the time; -2h is behind", set: func(f *Faults, value string) (err error) {
		if f.dateAhead, err = parseDuration(value); err != nil {
			return errors.New("it is not " + durationValue)
		}
		return nil
	}},
	whole("deny", "the number of the first call that is refused with 403, as are all later ones", 1, func(f *Faults) *int { return &f.deny }),
	shareOf("gone", "functions that answer 404, at least one", func(f *Faults) *float64 { return &f.gone }),
	duration("gone-after", "how long after the server's start these functions answer 404 (default 0s)", func(f *Faults) *time.Duration { return &f.goneAfter }),
	words("gone-answer", "another answer of these functions: a status, or a code for what does not exist", func(f *Faults) *string { return &f.goneAnswer }, functionAnswerNames...),
	words("gone-listed", "whether the list of functions names them", func(f *Faults) *string { return &f.goneListed }, "yes", "no"),
	shareOf("broken", "functions that always answer 500, at least one", func(f *Faults) *float64 { return &f.broken }),
	words("broken-answer", "another answer of these functions: as gone-answer, an error in the body of a 200, or a 200 with {}", func(f *Faults) *string { return &f.brokenAnswer }, functionAnswerNames...),
	whole("lists", "how many functions the list names; its count is of all", 1, func(f *Faults) *int { return &f.lists }),
	onOff("list-denied", "the list of functions is refused with 403", func(f *Faults) { f.listDenied = true }),
	words("versions", "versions of each function: one (latest only), or three; of three, each lists its own records (own), each lists all (whole), or latest lists all and the others their own (latest)", func(f *Faults) *string { return &f.versioned },
		"one", "own", "whole", "latest"),
	{name: "seed", short: "N", value: "a whole number", help: "seed of the faults (default: the data's seed)", set: func(f *Faults, value string) (err error) {
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

// onOff is a switch without a value.
func onOff(name, help string, set func(*Faults)) toggle {
	return toggle{name: name, alone: "yes", value: "yes", help: help, set: func(f *Faults, value string) error {
		if value != "yes" {
			return errors.New("its only value is yes")
		}
		set(f)
		return nil
	}}
}

// words is a switch with one of several values. The first is the default.
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
		// A page has no more records; higher rates would only make calls slow.
		if v > maxLimit {
			return fmt.Errorf("it is higher than %d", maxLimit)
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
	return toggle{name: name, short: "DURATION", value: durationValue, help: help, set: func(f *Faults, value string) error {
		v, err := parseDuration(value)
		if err != nil || v < 0 {
			return errors.New("it is not " + durationValue)
		}
		*field(f) = v
		return nil
	}}
}

const durationValue = "a duration such as 90s or 10m, or days such as 7d"

func parseDuration(value string) (time.Duration, error) {
	days, ok := strings.CutSuffix(value, "d")
	if !ok {
		return time.ParseDuration(value)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	return time.Duration(n) * 24 * time.Hour, err
}
