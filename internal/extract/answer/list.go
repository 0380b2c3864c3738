package answer

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the most that is read of an answer, in bytes. It is enough for 500
// records with a message of 1 MB each, and stops an endless body.
const maxBody = 640 << 20

// ReadObject reads a JSON object, and calls member to read the value of each member,
// except for those that say whether the call succeeded. It reads the body to its end, so
// that the connection can be reused. An EnvelopeError is the error that the object
// contains. Any other error means that the body is not a complete object.
func ReadObject(body io.Reader, member func(name string, d *jsontext.Decoder) error) error {
	around, err := readObject(newDecoder(body), member)
	if err != nil {
		return err
	}
	return around.err()
}

func newDecoder(body io.Reader) *jsontext.Decoder {
	return jsontext.NewDecoder(skipBOM(io.LimitReader(body, maxBody)), LenientOptions...)
}

// readObject is ReadObject, and also returns what the envelope contains.
func readObject(d *jsontext.Decoder, member func(name string, d *jsontext.Decoder) error) (around envelope, err error) {
	opening, err := d.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return around, errors.New("the answer is empty")
	case err != nil:
		return around, fmt.Errorf("the answer is not JSON: %w", err)
	case opening.Kind() != '{':
		return around, errors.New("the answer is not an object")
	}
	var notList *notListError
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		name := token.String() // reading on changes the token
		switch plain := envelopeName(name); {
		case err != nil:
		case plain != "":
			var value jsontext.Value
			if value, err = d.ReadValue(); err == nil {
				around.add(plain, value)
			}
		default:
			err = member(name, d)
		}
		if err != nil && !errors.As(err, &notList) { // the envelope may say why there is no list
			return around, fmt.Errorf("the answer is cut or broken: %w", err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return around, fmt.Errorf("the answer is cut or broken: %w", err)
	}
	if err := expectEnd(d); err != nil {
		return around, err
	}
	if notList != nil && around.err() == nil {
		return around, notList
	}
	return around, nil
}

// A notListError means that another value is in the place of a list.
type notListError struct{ name string }

func (e *notListError) Error() string { return e.name + " is not a list" }

// expectEnd reads the end of the body. Any data before it is an error.
func expectEnd(d *jsontext.Decoder) error {
	switch _, err := d.ReadToken(); {
	case err == nil:
		return errors.New("the answer has more data after its end")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("the answer is cut or broken after its end: %w", err)
	}
	return nil
}

// ReadElements reads a list, and calls element for each element. null is an empty
// list. The element's memory is reused after the call. name is for errors.
func ReadElements(d *jsontext.Decoder, name string, element func(jsontext.Value)) error {
	if kind := d.PeekKind(); kind != '[' {
		if err := d.SkipValue(); err != nil || kind == 'n' {
			return err
		}
		return &notListError{name}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		element(value)
	}
	_, err := d.ReadToken()
	return err
}

// ReadList reads a body that is a list, or null. listed is false if the body is
// another JSON value. An EnvelopeError is the error that an object contains.
func ReadList(body io.Reader, element func(jsontext.Value)) (listed bool, err error) {
	d := newDecoder(body)
	switch d.PeekKind() {
	case '{':
		around, err := readObject(d, func(_ string, d *jsontext.Decoder) error { return d.SkipValue() })
		if err != nil {
			return false, err
		}
		return false, around.err()
	case '[', 'n':
		listed, err = true, ReadElements(d, "the answer", element)
	default:
		err = d.SkipValue()
	}
	if err != nil {
		return listed, fmt.Errorf("the answer is cut or broken: %w", err)
	}
	return listed, expectEnd(d)
}

// skipBOM skips a byte order mark at the beginning, as RFC 8259 allows.
func skipBOM(body io.Reader) io.Reader {
	const mark = "\uFEFF"
	b := bufio.NewReader(body)
	if head, _ := b.Peek(len(mark)); string(head) == mark { // the next read returns an error of Peek
		_, _ = b.Discard(len(mark))
	}
	return b
}
