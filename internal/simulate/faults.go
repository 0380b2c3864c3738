package simulate

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Faults say how a Server deviates from what the API's pages describe: the
// readings that they leave open, and what goes wrong. The zero Faults are none.
// ParseFaults makes them; FaultsHelp lists what there is.
type Faults struct {
	spec string

	seed   uint64 // of all draws
	seeded bool   // else the Data's own seed is taken

	// How the source reads a question.
	borders, filter, order string
	limitCap               int // most records of a page; 0 is the API's own
	versioned              string

	// How it writes an answer.
	marker, count, code, times string
	nullList                   bool
	extra                      float64

	// What records are like, each at a share of them.
	rejected, nul, huge, reversed, statuses, twice float64
	repeat                                         float64 // of pages

	// What happens between two pages of a walk, in events a page.
	arrive, vanish, rise, sink float64
	driftCalls                 int

	// What happens as time goes by.
	late             time.Duration
	lateShare        float64
	inFlight, retry  float64
	stage, goneAfter time.Duration
	move             string

	// What becomes of settings.
	logOff                      float64
	logOffAfter, settingsChange time.Duration

	// What becomes of calls and of functions.
	disturb      [disturbanceCount]float64 // share of the calls that meet each
	retryAfter   int                       // seconds
	deny         int                       // the first call that is refused, from 1; 0 is none
	gone, broken float64
}

// String returns the text that the faults were parsed from.
func (f Faults) String() string { return f.spec }

func noFaults() Faults {
	return Faults{
		borders: "both", filter: "start", order: "newest", versioned: "one",
		marker: "int", count: "total", code: "int", times: "plain",
		driftCalls: 12, lateShare: 1, stage: time.Minute, move: "mixed", retryAfter: 1,
	}
}

// ParseFaults reads a comma-separated list of switches, name or name=value; an
// empty one is no faults. Where switches overlap, such as mix and times, the
// later one wins. An error names the nearest switch or value there is.
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

// check refuses what no single switch could.
func (f *Faults) check() error {
	sum := 0.0
	for _, share := range f.disturb {
		sum += share
	}
	if sum > 1 {
		return fmt.Errorf("faults: %.3g of the calls are to be disturbed, which is more than all of them", sum)
	}
	return nil
}

func (f *Faults) active() bool { return f.spec != "" }

func (f *Faults) drifts() bool { return f.arrive > 0 || f.vanish > 0 || f.rise > 0 || f.sink > 0 }

// findToggle returns the switch of this name.
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

// suggest names the nearest of the words, if at least two in three of its
// letters are right, else all of them.
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

// edits returns how many letters have to be put in, left out or replaced to
// turn a into b.
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

// FaultsHelp lists all switches, a line each.
func FaultsHelp() string {
	var b strings.Builder
	b.WriteString("Faults are a comma-separated list of the following. A SHARE is from 0 to 1, a RATE\n" +
		"events a page; without a value they are 0.1 and 1. The same seed draws the same.\n\n")
	for _, t := range toggles {
		fmt.Fprintf(&b, "  %-19s %s\n", t.usage(), t.help)
	}
	return b.String()
}
