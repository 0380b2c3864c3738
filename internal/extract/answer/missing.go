package answer

import (
	"errors"
	"io"
)

// A MissingListError says that an answer is an object without the list. The list may have
// failed, so the call is made again.
type MissingListError struct {
	Name string // of the list
	Null bool   // the list is null, and nothing else says that it is empty
}

func (e *MissingListError) Error() string { return "the answer has no " + e.Name }

// Insist returns a decoder of the answers to one call, which accepts a list that is null
// for the second time: that is how the source writes an empty list.
func Insist(decode func(io.Reader) error) func(io.Reader) error {
	wasNull := false
	return func(body io.Reader) error {
		err := decode(body)
		var missing *MissingListError
		if !errors.As(err, &missing) || !missing.Null {
			return err
		}
		if wasNull {
			return nil
		}
		wasNull = true
		return err
	}
}
