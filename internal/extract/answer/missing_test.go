package answer

import (
	"errors"
	"io"
	"testing"
)

// A list that is null is believed when it comes again, and a list that is absent is not.
func TestInsist(t *testing.T) {
	t.Parallel()
	null, absent, failed := &MissingListError{Name: "list", Null: true}, &MissingListError{Name: "list"}, errors.New("cut")
	for name, test := range map[string]struct{ came, want []error }{
		"a list":              {[]error{nil}, []error{nil}},
		"null, then a list":   {[]error{null, nil}, []error{null, nil}},
		"null":                {[]error{null, null}, []error{null, nil}},
		"null with a fault":   {[]error{null, failed, null}, []error{null, failed, nil}},
		"absent":              {[]error{absent, absent, absent}, []error{absent, absent, absent}},
		"absent, then null":   {[]error{absent, null, null}, []error{absent, null, nil}},
		"another fault stays": {[]error{failed, failed}, []error{failed, failed}},
	} {
		i := 0
		decode := Insist(func(io.Reader) error { i++; return test.came[i-1] })
		for n, want := range test.want {
			if err := decode(nil); !errors.Is(err, want) {
				t.Errorf("%s, %d: %v, want %v", name, n, err, want)
			}
		}
	}
}
