package functiongraph

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

// lenient reads what the API may send: names twice, text that is not UTF-8.
// What is broken in a text becomes U+FFFD.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// maxBody bounds an answer: 500 records with a message of a megabyte each
// would still pass, an endless body does not fill the memory.
const maxBody = 640 << 20

// An invocationList is one answer, each of its elements an invocation or
// rejected.
type invocationList struct {
	invocations []archive.Invocation
	rejected    []archive.Rejected
	count, next int // -1 for none
}

func (l *invocationList) len() int { return len(l.invocations) + len(l.rejected) }

// decodeInvocations reads a page of invocations. An error means that the body
// is not such a page, or was cut; a strange element is no error.
func decodeInvocations(body io.Reader) (invocationList, error) {
	l := invocationList{count: -1, next: -1}
	var elements objectReader
	err := decodeList(body, "invocations", &l.count, &l.next, func(element jsontext.Value) {
		if inv, rejected := decodeRecord(&elements, element); rejected != nil {
			l.rejected = append(l.rejected, *rejected)
		} else {
			l.invocations = append(l.invocations, inv)
		}
	})
	return l, err
}

// A functionList is one answer of the list of functions.
type functionList struct {
	functions   []archive.Function
	elements    int // as many as were sent
	unusable    int // of these, without a URN
	count, next int // -1 for none
}

// decodeFunctions reads a page of functions.
func decodeFunctions(body io.Reader) (functionList, error) {
	l := functionList{count: -1, next: -1}
	var elements objectReader
	err := decodeList(body, "functions", &l.count, &l.next, func(element jsontext.Value) {
		l.elements++
		var f archive.Function
		elements.members(element, func(name []byte, value jsontext.Value) {
			switch string(name) {
			case "func_urn":
				f.URN, _ = text(value)
			case "func_name":
				f.Name, _ = text(value)
			}
		})
		if f.URN == "" {
			l.unusable++
			return
		}
		if f.Name == "" {
			f.Name = f.URN
		}
		l.functions = append(l.functions, f)
	})
	return l, err
}

// decodeList reads an object with a list of this name, a count and a
// next_marker. A list that is null or absent is empty, but an object that has
// neither it nor a count is not an answer to our question.
func decodeList(body io.Reader, name string, count, next *int, element func(jsontext.Value)) error {
	d := jsontext.NewDecoder(io.LimitReader(body, maxBody), lenient...)
	opening, err := d.ReadToken()
	if errors.Is(err, io.EOF) {
		return errors.New("the answer is empty")
	}
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	if opening.Kind() != '{' {
		return errors.New("the answer is not an object")
	}
	listed := false
	for d.PeekKind() != '}' {
		member, err := d.ReadToken()
		if err != nil {
			return fmt.Errorf("the answer is cut or broken: %w", err)
		}
		switch member.String() {
		case name:
			listed, err = true, decodeElements(d, name, element)
		case "count":
			err = decodeInteger(d, count)
		case "next_marker":
			err = decodeInteger(d, next)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return fmt.Errorf("the answer is cut or broken: %w", err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return fmt.Errorf("the answer is cut or broken: %w", err)
	}
	if !listed && *count < 0 {
		return fmt.Errorf("the answer has no %s", name)
	}
	return nil
}

func decodeElements(d *jsontext.Decoder, name string, element func(jsontext.Value)) error {
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

// decodeInteger reads an integer or a string that holds one; anything else,
// null included, is as good as absent.
func decodeInteger(d *jsontext.Decoder, n *int) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	*n = integer(value)
	return nil
}
