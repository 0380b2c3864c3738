package simulate

import (
	"strings"

	"archiver/internal/simulate/dataset"
)

// spellings are how words and missing times are written.
type spellings struct {
	none     string
	untimed  float64
	spelling string
}

// spelling are the switches of spellings.
var spelling = []toggle{
	words("none", "a start or an end that a record does not have: absent, or written as 1970-01-01T00:00:00 (epoch), a second before (minus-1), 0001-01-01 (year-1), 0000-00-00 (zero), 9999-12-31 (max), empty or null; mixed is all of these but minus-1", func(f *Faults) *string { return &f.none },
		"absent", "epoch", "minus-1", "year-1", "zero", "max", "empty", "null", "mixed"),
	shareOf("untimed", "records that have settled and have no end, no start, or neither", func(f *Faults) *float64 { return &f.untimed }),
	words("spelling", "statuses: as in the API's pages; in other case and with blanks (loose); or, while a record has no end, words that the pages do not name (unknown)", func(f *Faults) *string { return &f.spelling },
		"plain", "loose", "unknown"),
}

// sentinels are what stands for no time: a time as text, and in milliseconds.
var sentinels = map[string]struct{ text, millis string }{
	"epoch":   {`"1970-01-01T00:00:00"`, "0"},
	"minus-1": {`"1969-12-31T23:59:59"`, "-1"},
	"year-1":  {`"0001-01-01T00:00:00"`, "-62135596800000"},
	"zero":    {`"0000-00-00T00:00:00"`, "0"},
	"max":     {`"9999-12-31T23:59:59"`, "253402300799000"},
	"empty":   {`""`, `""`},
	"null":    {"null", "null"},
}

// sentinel is what stands for a time that a record does not have.
func (f *faulter) sentinel(i *item) (text, millis string) {
	s := sentinels[choose(f.none, i.draw.of(drawNone), "epoch", "year-1", "zero", "max", "empty", "null", "absent")]
	return s.text, s.millis
}

// appendNone appends a field for a time that a record does not have.
func appendNone(b []byte, field, none string) []byte {
	if none == "" {
		return b
	}
	return append(append(b, field...), none...)
}

// untime takes times away from a settled record.
func (f *faulter) untime(i *item) {
	d := i.draw.of(drawUntimed)
	if d.share() >= f.untimed {
		return
	}
	kind := d.of(1).upTo(3)
	i.noStart, i.noEnd = kind != 0, kind != 1
}

// inFlightWords are statuses that the API's pages do not name.
var inFlightWords = []dataset.Status{"QUEUED", "DELIVERING", "Backing off", "排队中", "STATE_7"}

// strange returns the status of a record that has not settled.
func (f *faulter) strange(i *item) dataset.Status {
	if f.spelling != "unknown" {
		return i.Status
	}
	return inFlightWords[i.draw.of(drawSpelling).upTo(int64(len(inFlightWords)))]
}

// spell is how a status is written.
func (f *faulter) spell(i *item, status string) string {
	if f.spelling != "loose" {
		return status
	}
	lower := strings.ToLower(status)
	forms := []string{status, lower, " " + status, lower + " ", "\t" + strings.ToUpper(status) + "\n", strings.ToUpper(lower[:1]) + lower[1:]}
	return forms[i.draw.of(drawSpelling).upTo(int64(len(forms)))]
}
