package load

import (
	"testing"

	"archiver/internal/archive"
)

// jsonb keeps neither order, spaces nor the way a number was written, so rows
// are compared with what came by value: else each reading would write again.
func TestExtraIsComparedByValue(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	s := hours(today, 1)
	for name, test := range map[string]struct {
		before, after string // empty for none
		same          bool
	}{
		"none":              {"", "", true},
		"order":             {`{"a":1,"b":2}`, `{"b":2,"a":1}`, true},
		"spaces":            {`{"a":[1,2]}`, "{ \"a\" :\n[ 1 , 2 ] }", true},
		"trailing zero":     {`{"a":1}`, `{"a":1.0}`, true},
		"exponent":          {`{"a":100}`, `{"a":1e2}`, true},
		"negative exponent": {`{"a":0.01}`, `{"a":1E-2}`, true},
		"negative zero":     {`{"a":0}`, `{"a":-0}`, true},
		"large":             {`{"a":1e300}`, `{"a":10e299}`, true},
		"escapes":           {`{"a":"\u00e9\/"}`, `{"a":"é/"}`, true},
		"names twice":       {`{"a":1,"a":2}`, `{"a":2}`, true},
		"nested":            {`{"a":{"b":[{"c":1.50}]}}`, `{"a":{"b":[{"c":1.5}]}}`, true},
		"empty object":      {`{}`, `{ }`, true},
		"last digit":        {`{"a":12345678901234567890}`, `{"a":12345678901234567891}`, false},
		"number and text":   {`{"a":1}`, `{"a":"1"}`, false},
		"list order":        {`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		"null and absent":   {`{"a":null}`, `{}`, false},
		"appears":           {"", `{"a":1}`, false},
		"disappears":        {`{"a":1}`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			with := func(extra string) archive.Invocation {
				inv := record(name, archive.StatusSuccess, today)
				if extra != "" {
					inv.Extra = []byte(extra)
				}
				return inv
			}
			commit(t, c, page(s, noted, with(test.before)))
			want := archive.Kept{Updated: 1}
			if test.same {
				want = archive.Kept{Unchanged: 1}
			}
			if kept := commit(t, c, page(s, later, with(test.after))); kept != want {
				t.Errorf("kept %+v, want %+v", kept, want)
			}
			if kept := commit(t, c, page(s, later, with(test.after))); kept != (archive.Kept{Unchanged: 1}) {
				t.Errorf("the third time kept %+v", kept)
			}
		})
	}
	if n := value[int](a, `SELECT count(*) FROM invocations WHERE extra IS NULL`); n != 2 {
		t.Errorf("%d rows have no extra fields, want 2", n)
	}
}

// No extra fields is no extra fields, whether as nil or as nothing.
func TestExtraOfNoBytesIsNone(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	inv := record("r", archive.StatusSuccess, today)
	inv.Extra = []byte{}
	for _, want := range []archive.Kept{{Inserted: 1}, {Unchanged: 1}} {
		if kept := commit(t, c, page(hours(today, 1), noted, inv)); kept != want {
			t.Errorf("kept %+v, want %+v", kept, want)
		}
	}
}
