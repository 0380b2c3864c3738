package answer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxBody bounds an answer in bytes: 500 records with a message of a megabyte
// each would still pass, an endless body does not fill the memory.
const maxBody = 640 << 20

// ReadObject reads an object to the end of the body, so that its connection can
// be used again. member reads the value of each member. An error means that the
// body is no such object, or was cut.
func ReadObject(body io.Reader, member func(name string, d *jsontext.Decoder) error) error {
	d := jsontext.NewDecoder(withoutMark(io.LimitReader(body, maxBody)), Lenient...)
	opening, err := d.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the answer is empty")
	case err != nil:
		return fmt.Errorf("the answer is not JSON: %w", err)
	case opening.Kind() != '{':
		return errors.New("the answer is not an object")
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err == nil {
			err = member(name.String(), d)
		}
		if err != nil {
			return fmt.Errorf("the answer is cut or broken: %w", err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return fmt.Errorf("the answer is cut or broken: %w", err)
	}
	return ended(d)
}

// ended reads to the end of the answer, of which nothing is to be left.
func ended(d *jsontext.Decoder) error {
	switch _, err := d.ReadToken(); {
	case err == nil:
		return errors.New("the answer goes on behind its end")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("the answer is cut or broken behind its end: %w", err)
	}
	return nil
}

// ReadElements reads the list of this name. One that is null is empty. An
// element is valid until the next.
func ReadElements(d *jsontext.Decoder, name string, element func(jsontext.Value)) error {
	opening, err := d.ReadToken()
	switch {
	case err != nil:
		return err
	case opening.Kind() == 'n':
		return nil
	case opening.Kind() != '[':
		return fmt.Errorf("%s is not a list", name)
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		element(value)
	}
	_, err = d.ReadToken()
	return err
}

// ReadList reads an answer that is a list with nothing around it, or null. For
// anything else that is JSON listed is false.
func ReadList(body io.Reader, element func(jsontext.Value)) (listed bool, err error) {
	d := jsontext.NewDecoder(withoutMark(io.LimitReader(body, maxBody)), Lenient...)
	switch d.PeekKind() {
	case '[', 'n':
		listed, err = true, ReadElements(d, "the answer", element)
	default:
		err = d.SkipValue()
	}
	if err != nil {
		return listed, fmt.Errorf("the answer is cut or broken: %w", err)
	}
	return listed, ended(d)
}

// withoutMark leaves out a byte order mark at the beginning, which RFC 8259
// lets a reader of JSON do.
func withoutMark(body io.Reader) io.Reader {
	head := make([]byte, 3)
	n, err := io.ReadFull(body, head)
	if n < len(head) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return errorReader{err}
	}
	if head = head[:n]; string(head) == "\uFEFF" {
		return body
	}
	return io.MultiReader(bytes.NewReader(head), body)
}

// An errorReader fails.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
