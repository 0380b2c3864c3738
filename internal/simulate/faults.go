package simulate

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Faults say how a Server deviates from the API's pages: which of the readings
// that the pages leave open it takes, and what fails. The zero value has none.
// ParseFaults makes Faults; FaultsHelp lists the switches.
type Faults struct {
	spec string

	seed   uint64 // of all draws
	seeded bool   // else the Data's seed is used

	// How the source reads a question.
	borders, filter, order string
	limitCap               int // most records of a page; 0 is the API's own
	versioned              string

	// How the source writes an answer.
	marker, count, code, times string
	nullList                   bool
	extra                      float64

	// How records are damaged, each a share of the records.
	rejected, nul, huge, reversed, statuses, twice float64
	repeat                                         float64 // of pages

	// What happens between two pages of a walk, in events per page.
	arrive, vanish, rise, sink float64
	driftCalls                 int

	// What happens as the clock advances.
	late             time.Duration
	lateShare        float64
	inFlight, retry  float64
	stage, goneAfter time.Duration
	dateAhead        time.Duration // of an answer's Date
	move             string

	// What happens to settings.
	logOff                      float64
	logOffAfter, settingsChange time.Duration

	// What happens to calls and to functions.
	disturb      [disturbanceCount]float64 // share of the calls, for each disturbance
	retryAfter   int                       // seconds
	deny         int                       // number of the first call that is refused; 0 for none
	gone, broken float64

	goneAnswer, brokenAnswer string
	goneListed               string
	lists                    int // functions that the list names; 0 for all
	listDenied               bool

	limits
	gateways
	envelopes
	spellings
}

// String returns the text that the faults were parsed from.
func (f Faults) String() string { return f.spec }

func noFaults() Faults {
	return Faults{
		borders: "both", filter: "start", order: "newest", versioned: "one",
		marker: "int", count: "total", code: "int", times: "plain",
		driftCalls: 12, lateShare: 1, stage: time.Minute, move: "mixed", retryAfter: 1,
		goneAnswer: "404", brokenAnswer: "500", goneListed: "yes",
		limits:    limits{only: 1, ceilingCount: "clipped", beyond: "empty", rangeStatus: "400", keepsAnswer: "refuse"},
		gateways:  gateways{throttle: "header"},
		envelopes: envelopes{envelopeError: "internal", envelopeWords: "own"},
		spellings: spellings{none: "absent", spelling: "plain"},
	}
}

// ParseFaults reads a comma-separated list of switches, name or name=value. An
// empty list means no faults. If switches overlap, as mix and times do, the last
// one wins. An error suggests the most similar switch or value.
func ParseFaults(spec string) (Faults, error) {
	f := noFaults()
	f.spec = strings.TrimSpace(spec)
	if f.spec == "" {
		return Faults{}, nil
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(f.spec, ",") {
		name, value, given := strings.Cut(strings.TrimSpace(part), "=")
		t, err := findToggle(name)
		if err != nil {
			return Faults{}, err
		}
		if seen[name] {
			return Faults{}, fmt.Errorf("fault %s is given twice", name)
		}
		seen[name] = true
		if !given {
			value = t.alone
		}
		if value == "" {
			return Faults{}, fmt.Errorf("fault %s needs a value: %s=%s", name, name, t.value)
		}
		if err := t.set(&f, value); err != nil {
			return Faults{}, fmt.Errorf("fault %s=%s: %w", name, value, err)
		}
	}
	if err := f.check(); err != nil {
		return Faults{}, err
	}
	return f, nil
}

// check refuses values that are invalid only together.
func (f *Faults) check() error {
	sum := 0.0
	for _, share := range f.disturb {
		sum += share
	}
	if sum > 1 {
		return fmt.Errorf("faults: the shares of disturbed calls add up to %.3g, which is more than 1", sum)
	}
	return nil
}

func (f *Faults) active() bool { return f.spec != "" }

func (f *Faults) drifts() bool { return f.arrive > 0 || f.vanish > 0 || f.rise > 0 || f.sink > 0 }

func findToggle(name string) (toggle, error) {
	names := make([]string, 0, len(toggles))
	for _, t := range toggles {
		if t.name == name {
			return t, nil
		}
		names = append(names, t.name)
	}
	return toggle{}, fmt.Errorf("no fault is named %q: %w", name, suggest(name, names))
}

// suggest names the most similar word if at least two thirds of the letters
// match, else all words.
func suggest(word string, words []string) error {
	nearest, distance := "", len(word)/3+1
	for _, w := range words {
		if d := edits(word, w); d < distance {
			nearest, distance = w, d
		}
	}
	if nearest != "" {
		return fmt.Errorf("is it %s?", nearest)
	}
	return errors.New("it is one of " + strings.Join(words, ", "))
}

// edits is the edit distance of a and b in letters.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// FaultsHelp lists all switches, one per line.
func FaultsHelp() string {
	var b strings.Builder
	b.WriteString("Faults are a comma-separated list of switches, NAME or NAME=VALUE. A SHARE is from 0 to 1\n" +
		"(default 0.1), a RATE is events per page (default 1). The same seed gives the same faults.\n\n")
	for _, t := range toggles {
		fmt.Fprintf(&b, "  %-24s %s\n", t.usage(), t.help)
	}
	return b.String()
}
