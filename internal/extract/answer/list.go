package answer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

// ReadObject reads a JSON object, and calls member to read the value of each member,
// except for those that say whether the call succeeded. It reads the body to its end, so
// that the connection can be reused. An EnvelopeError is the error that the object
// contains. A TooLargeError means that the body is longer than MaxBody. Any other error
// means that the body is not a complete object.
func ReadObject(body io.Reader, member func(name string, r *Reader) error) error {
	around, err := readObject(NewReader(body), member)
	if err != nil {
		return err
	}
	return around.err()
}

// readObject is ReadObject, and also returns what the envelope contains.
func readObject(r *Reader, member func(name string, r *Reader) error) (around envelope, err error) {
	opening, err := r.peek()
	switch {
	case errors.Is(err, io.EOF):
		return around, errors.New("the answer is empty")
	case err != nil:
		return around, broken(err)
	case r.PeekKind() == jsontext.KindInvalid:
		return around, fmt.Errorf("the answer is not JSON: it begins with %q", opening)
	case opening != '{':
		return around, errors.New("the answer is not an object")
	}
	r.skip()
	var notList *notListError
	for n := 0; ; n++ {
		more, err := r.next(n, '}')
		if err != nil {
			return around, broken(err)
		}
		if !more {
			break
		}
		if n == maxMembers {
			return around, TooLarge("has more than %d members", n)
		}
		name, err := r.memberName()
		if err != nil {
			return around, broken(err)
		}
		if plain := envelopeName(name); plain != "" {
			var value jsontext.Value
			if value, err = r.readEnvelope(plain); err == nil {
				around.add(plain, value)
			}
		} else {
			err = member(name, r)
		}
		if err != nil && !errors.As(err, &notList) { // the envelope may say why there is no list
			return around, broken(err)
		}
	}
	if err := expectEnd(r); err != nil {
		return around, err
	}
	if notList != nil && around.err() == nil {
		return around, notList
	}
	return around, nil
}

// memberName reads the name of a member and the colon after it.
func (r *Reader) memberName() (string, error) {
	if c, err := r.peek(); err != nil || c != '"' {
		return "", cmp.Or(err, errors.New("it is not JSON: a name is missing"))
	}
	value, long, err := r.read(maxMember)
	if err != nil {
		return "", err
	}
	name := "" // a name that is too long is none that is looked for
	if long == nil {
		name = string(Unquote(nil, value))
	}
	if c, err := r.peek(); err != nil || c != ':' {
		return "", cmp.Or(err, errors.New("it is not JSON: a colon is missing"))
	}
	r.skip()
	return name, nil
}

// broken says that an answer cannot be read, unless it is too large.
func broken(err error) error {
	var large *TooLargeError
	if errors.As(err, &large) {
		return large
	}
	return fmt.Errorf("the answer is cut or broken: %w", notEnded(err))
}

// A notListError means that another value is in the place of a list.
type notListError struct{ name string }

func (e *notListError) Error() string { return e.name + " is not a list" }

// expectEnd reads the end of the body. Any data before it is an error.
func expectEnd(r *Reader) error {
	switch _, err := r.peek(); {
	case err == nil && r.PeekKind() == jsontext.KindInvalid:
		return errors.New("the answer is cut or broken after its end")
	case err == nil:
		return errors.New("the answer has more data after its end")
	case !errors.Is(err, io.EOF):
		return broken(err)
	}
	return nil
}

// An Element is an element of a list. Its value's memory is reused for the next one.
type Element struct {
	Value jsontext.Value
	Aside *archive.Rejected // if set, what is kept of an element that is too large to be read; then Value is nil
}

// Unreadable returns what is kept of an element that is too large or not an object, and nil
// for any other.
func (e Element) Unreadable() *archive.Rejected {
	if e.Aside == nil && e.Value.Kind() != '{' {
		return Rejected(e.Value, time.Time{}, "not an object")
	}
	return e.Aside
}

// MaxElements is how many times as many elements as the largest page has are read of a list.
const MaxElements = 4

// ReadElements reads a list of at most most elements, and calls element for each of them.
// null is an empty list. name is for errors.
func ReadElements(r *Reader, name string, most int, element func(Element)) error {
	if kind := r.PeekKind(); kind != '[' {
		if err := r.SkipValue(); err != nil || kind == 'n' {
			return err
		}
		return &notListError{name}
	}
	r.skip()
	for n := 0; ; n++ {
		more, err := r.next(n, ']')
		switch {
		case err != nil || !more:
			return err
		case n == most:
			return TooLarge("has more than %d %s", most, name)
		}
		value, long, err := r.read(MaxElement)
		switch {
		case err != nil:
			return err
		case long != nil:
			element(Element{Aside: long.rejected()})
		default:
			element(Element{Value: value})
		}
	}
}

// maxUnpaged is how many elements a list may have that is not divided into pages.
const maxUnpaged = 10_000

// ReadList reads a body that is a list, or null. listed is false if the body is
// another JSON value. An EnvelopeError is the error that an object contains.
func ReadList(body io.Reader, element func(Element)) (listed bool, err error) {
	r := NewReader(body)
	switch r.PeekKind() {
	case '{':
		around, err := readObject(r, func(_ string, r *Reader) error { return r.SkipValue() })
		if err != nil {
			return false, err
		}
		return false, around.err()
	case '[', 'n':
		listed, err = true, ReadElements(r, "elements", maxUnpaged, element)
	default:
		err = r.SkipValue()
	}
	if err != nil {
		return listed, broken(err)
	}
	return listed, expectEnd(r)
}
